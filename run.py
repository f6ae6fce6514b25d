"""Cang Xanh: sets itself up, then runs.

    python run.py serve              start the web server
    python run.py test [ARGS]        run the tests (ARGS go to pytest)
    python run.py COMMAND --help     help on one command
    python run.py setup [--test]     only set up (--test: for the tests too)
    python run.py bench WHAT [ARGS]  measure, side by side with other programs (WHAT: siting, imports, ogc)
    python run.py bundle [PLATFORM] [--test]
                                     fill wheelhouse/ for a computer without internet
                                     (PLATFORM: like this one, or win_amd64)

Commands: serve, test, ledger, population, import, raster, export, versions, site, user, notices, audit, backup,
restore, bench, setup, bundle.

The first start needs the internet or a wheelhouse/ folder. It puts the Python packages of
requirements.txt into .venv and the browser libraries into server/vendor; nothing outside this
folder is changed. Every file is checked against a pinned hash.
"""
# Standard library only, and syntax that Python 3.8 can read, so that an old Python gets as far as
# the sentence that says so.

import sys

OLDEST = (3, 11)


def too_old(version_info):
    """The one line for a Python that is too old, or None."""
    if tuple(version_info[:2]) >= OLDEST:
        return None
    return "Python {}.{} or newer is needed; this is {}.{}.{}".format(*OLDEST, *version_info[:3])


if too_old(sys.version_info):
    sys.exit(too_old(sys.version_info))

import errno  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from server import assets  # noqa: E402

WINDOWS = os.name == "nt"
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
WHEELHOUSE = ROOT / "wheelhouse"
NEEDED = {"app": ["requirements.txt"], "test": ["requirements.txt", "tests/requirements.txt"]}
ASSETS = {"app": ("app",), "test": ("app", "test")}
FREE_MB = {"app": 800, "test": 1100}
DOWNLOAD_MB = {"app": 130, "test": 200}
WINDOWS_MARKERS = {
    "os_name": "nt",
    "platform_machine": "AMD64",
    "platform_system": "Windows",
    "sys_platform": "win32",
}
PYTHON_SETTINGS = ("PYTHONHOME", "PYTHONPATH", "PYTHONIOENCODING")
AGAIN = "then run the same command again"


class Problem(Exception):
    """Set-up cannot go on; the text is one line that says what to do."""


# What is there already


def venv_python():
    return VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")


def stamp_path(kind):
    return VENV / f".setup-{kind}"


def busy_path():
    return VENV / ".setup-busy"


def wanted_stamp(kind):
    """Changes with the requirement files, the Python, and the folder (a venv does not like to be moved)."""
    place = os.fsencode(VENV).decode("utf-8", "surrogateescape")  # one text in every locale
    digest = hashlib.sha256(repr((sys.version, sys.platform, sys.maxsize, place)).encode())
    for name in NEEDED[kind]:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def python_ready(kind):
    try:
        return stamp_path(kind).read_bytes() == wanted_stamp(kind).encode() and venv_starts() and not packages_lost()
    except OSError:
        return False


def packages_lost():
    """Packages that were installed and are no longer there, e.g. after a clean-up tool; looks at folders only."""
    try:
        listed = (VENV / ".setup-packages").read_text(encoding="utf-8").split("\n")
    except OSError:
        return []  # made by an older run.py: the stamp alone counts
    return [name for name in listed if name and not (VENV / name).exists()]


def list_packages():
    """Keep the list of installed packages for packages_lost()."""
    site = [*VENV.glob("lib/python*/site-packages/*/__init__.py"), *VENV.glob("Lib/site-packages/*/__init__.py")]
    names = sorted(str(file.relative_to(VENV)) for file in site)
    (VENV / ".setup-packages").write_text("\n".join(names), encoding="utf-8")


def venv_starts():
    """False for a venv whose Python was removed. Looks at files only: starting it would cost time."""
    if not venv_python().exists():
        return False
    lines = (VENV / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    home = [line.partition("=")[2].strip() for line in lines if line.startswith("home")]
    return bool(home) and os.path.isdir(home[0])


def assets_ready(kind):
    return not assets.missing(assets.read_lock(), ASSETS[kind])


# Set-up


def set_up(kind):
    """Make everything ready for the app, or for the app and its tests."""
    if python_ready(kind) and assets_ready(kind):
        return
    with Lock(ROOT / ".setup.lock") as lock:
        if python_ready(kind) and assets_ready(kind):
            return
        say = Steps("Setting up. This is needed once, and again after an update.")
        for old in ROOT.glob(".venv-old-*"):
            shutil.rmtree(old, ignore_errors=True)
        if not python_ready(kind):
            check_disk(kind)
            if python_ready("app") and not busy_path().exists():
                install(kind, say, lock)
            else:
                rebuild(kind, say, lock)
        fetch_assets(kind, say)
        say("Ready.")


def rebuild(kind, say, lock):
    """A new venv. The old one comes back if this fails: it may still suit the version the user returns to."""
    old = ROOT / f".venv-old-{os.getpid()}"
    try:
        if os.path.lexists(VENV):
            os.replace(VENV, old)
    except OSError as error:
        raise Problem(f"The old .venv is in use; stop the program if it is running, {AGAIN}.") from error
    try:
        say("Making a Python environment in .venv")
        make_venv()
        install(kind, say, lock)
    except BaseException:
        if os.path.lexists(old):
            shutil.rmtree(VENV, ignore_errors=True)
            os.replace(old, VENV)
        raise
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old, ignore_errors=True)
    elif os.path.lexists(old):
        old.unlink()


def make_venv():
    # Debian and Ubuntu leave ensurepip out unless python3-venv is installed; their own pip can fill a venv.
    options = [] if has_ensurepip() else ["--without-pip"]
    if options and subprocess.run([base_python(), "-m", "pip", "--version"], capture_output=True).returncode:
        raise Problem(f"This Python has no pip. Debian, Ubuntu: sudo apt-get install python3-venv, {AGAIN}.")
    run_quietly([base_python(), "-m", "venv", *options, VENV], "The Python environment could not be made")


def base_python():
    """Under a venv, sys.executable is the venv's own; a new one must stand on the Python below it."""
    return getattr(sys, "_base_executable", None) or sys.executable


def pip_command():
    inside = [*VENV.glob("lib/python*/site-packages/pip"), *VENV.glob("Lib/site-packages/pip")]
    if inside:
        return [str(venv_python()), "-m", "pip"]
    return [base_python(), "-m", "pip", "--python", str(venv_python())]


def has_ensurepip():
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        return False
    return True


def install(kind, say, lock):
    """Install the pinned packages into the venv and stamp it."""
    files = [ROOT / name for name in NEEDED[kind]]
    source = "wheelhouse/" if WHEELHOUSE.is_dir() else f"the internet, up to {DOWNLOAD_MB[kind]} MB"
    say(f"Installing the Python packages from {source}")
    # A killed pip can leave a package that looks installed: while this file exists the venv is not trusted.
    busy_path().write_bytes(b"")
    try:
        pip_install([part for path in files for part in ("-r", path)], say, lock)
    except Problem:
        busy_path().unlink()  # pip itself said no, and leaves things as they were
        raise
    say("Compiling them")
    compile_packages()
    list_packages()
    for name in NEEDED:
        if set(NEEDED[name]) <= set(NEEDED[kind]):
            stamp_path(name).write_bytes(wanted_stamp(name).encode())
    busy_path().unlink()


def pip_install(what, say, lock):
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-compile"]
    options += ["--require-hashes", "--only-binary", ":all:"]
    if WHEELHOUSE.is_dir():
        options += ["--no-index", "--find-links", WHEELHOUSE]
    command = [*pip_command(), "install", *options, *what]
    lines = []
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=pip_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        # pip keeps the lock too: if only this process is killed, the next set-up waits for pip to end.
        pass_fds=() if WINDOWS else (lock.fd,),
    ) as child:
        for line in child.stdout:
            lines.append(line.strip())
            if line.startswith("Collecting "):
                say.detail(line.split()[1].partition("=")[0])
            elif line.startswith("Installing collected"):
                say.detail("unpacking")
    say.detail("")
    if child.returncode:
        raise Problem(explain_pip(lines))


def explain_pip(lines):
    """One sentence from pip's output: what went wrong and what to do."""
    lines = [line for line in lines if line and not line.startswith("[notice]")]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or ["no message"])[-1]
    text = "\n".join(lines).lower()
    if "no space left" in text or "not enough space" in text:
        return f"The disk is full. Free about {FREE_MB['test']} MB, {AGAIN}."
    if "do not match the hashes" in text:
        return f"A downloaded package is not the pinned one; nothing was installed. pip said: {last}"
    if WHEELHOUSE.is_dir() and ("no matching distribution" in text or "from versions: none" in text):
        return f"wheelhouse/ lacks a package for this computer; make it anew with bundle. pip said: {last}"
    # Without any network pip ends with "from versions: none", as it does for an unknown package.
    signs = (
        "from versions: none",
        "connection",
        "name resolution",
        "proxy",
        "timed out",
        "max retries",
        "ssl",
    )
    if any(sign in text for sign in signs):
        return (
            "The Python packages could not be downloaded. Connect this computer to the internet, or copy a "
            f"wheelhouse/ folder (made by `run.py bundle`) into this one, {AGAIN}. pip said: {last}"
        )
    if "no matching distribution" in text:
        return f"A package is not made for this computer; use Python 3.11 to 3.13, 64 bit. pip said: {last}"
    return f"The Python packages could not be installed. pip said: {last}"


def compile_packages():
    """Byte-compile what was installed, on all cores. Tests inside packages are left out: half the time."""
    folders = [str(path) for path in VENV.glob("[Ll]ib*") if path.is_dir() and not path.is_symlink()]
    tests = r"site-packages[\\/].*[\\/]tests?[\\/]"
    command = [str(venv_python()), "-m", "compileall", "-q", "-j", "0", "-x", tests, *folders]
    # Some packages carry templates that are no valid Python; that is not our error.
    subprocess.run(command, env=clean_environment(), capture_output=True)


def fetch_assets(kind, say):
    if assets_ready(kind):
        return
    say("Fetching the browser libraries")
    assets.fetch(ASSETS[kind], pip=pip_command())


def check_disk(kind):
    free = shutil.disk_usage(ROOT).free // 1_000_000
    if free < FREE_MB[kind]:
        raise Problem(f"Set-up needs {FREE_MB[kind]} MB of free disk space; {ROOT} has {free} MB.")


def run_quietly(command, what):
    done = subprocess.run(
        [str(part) for part in command],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = [line.strip() for line in done.stdout.splitlines() if line.strip()][-1:] or ["no message"]
        raise Problem(f"{what}: {last[0]}")


# For a computer without internet


def bundle(args):
    """Fill wheelhouse/ anew: what `serve` (with --test also `test`) needs on a computer without internet.

    For this computer's platform or for another one, and always for this Python's minor version.
    """
    platform = next((arg for arg in args if arg != "--test"), None)
    if platform not in (None, "win_amd64"):
        raise Problem("bundle knows this computer's platform (no argument) and win_amd64.")
    kind = "test" if "--test" in args else "app"
    old = ROOT / "wheelhouse-old"
    shutil.rmtree(old, ignore_errors=True)
    if WHEELHOUSE.exists():
        os.replace(WHEELHOUSE, old)  # else set-up would try to live on it
    try:
        set_up("app")
        fill_wheelhouse(kind, platform, Steps("Filling wheelhouse/"))
    except BaseException:
        shutil.rmtree(WHEELHOUSE, ignore_errors=True)
        if old.exists():
            os.replace(old, WHEELHOUSE)
        raise
    shutil.rmtree(old, ignore_errors=True)


def fill_wheelhouse(kind, platform, say):
    say("Downloading the Python packages")
    blocks = [block for name in NEEDED[kind] for block in requirement_blocks(ROOT / name)]
    blocks.append(" ".join(assets.read_lock()["npm_wheel"]))
    WHEELHOUSE.mkdir()
    pins = WHEELHOUSE / "pins.txt"
    pins.write_text("\n".join(pins_for(platform, blocks)), encoding="utf-8")
    run_quietly(
        [
            *(*pip_command(), "download", "--disable-pip-version-check", "--no-deps", "--require-hashes"),
            *("--only-binary", ":all:", *(("--platform", platform) if platform else ())),
            *("--dest", WHEELHOUSE, "-r", pins),
        ],
        "The Python packages could not be downloaded",
    )
    pins.unlink()
    say("Downloading the browser libraries")
    assets.download(WHEELHOUSE, ASSETS[kind], pip=pip_command())
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    say(f"Ready. Move wheelhouse/ into a copy of this folder (without .venv) that has Python {minor}.")


def pins_for(platform, blocks):
    """The requirements that hold on a platform, without their markers.

    `pip download --platform` judges markers by the computer it runs on and would leave out what
    only Windows needs; so they are judged here, by the packaging library in the venv.
    """
    parts = [block.partition(" --hash") for block in blocks]
    markers = [pin.partition(";")[2].strip() or "python_version > '3'" for pin, _, _ in parts]
    judge = (
        "import json, sys; from packaging.markers import Marker\n"
        "print(*[int(Marker(m).evaluate(json.loads(sys.argv[1]))) for m in sys.argv[2:]])"
    )
    facts = json.dumps(WINDOWS_MARKERS if platform else {})
    answer = subprocess.check_output(
        [str(venv_python()), "-c", judge, facts, *markers], env=clean_environment(), encoding="utf-8"
    )
    kept = [part for part, keep in zip(parts, answer.split()) if keep == "1"]
    return [pin.partition(";")[0] + mark + hashes for pin, mark, hashes in kept]


def requirement_blocks(path):
    """Each requirement of a pinned file as one line: name==version [; marker] --hash=..."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [" ".join(line.split()) for line in lines if line and not line.startswith("#")]


# Helpers


class Lock:
    """One set-up at a time. The system lets go of the lock when its holders end, however they end."""

    def __init__(self, path):
        self.path = path
        self.fd = None

    def __enter__(self):
        self.fd = os.open(str(self.path), os.O_RDWR | os.O_CREAT, 0o644)
        waiting = False
        while not self.take():
            if not waiting:
                note("Another set-up is running in this folder; waiting for it.")
                waiting = True
            time.sleep(0.3)
        return self

    def take(self):
        try:
            if WINDOWS:
                import msvcrt

                os.lseek(self.fd, 0, os.SEEK_SET)
                msvcrt.locking(self.fd, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Other errors come from network drives that know no locks: go on without.
            return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
        return True

    def __exit__(self, *_):
        # The file stays: removing it would let two set-ups hold two different files of one name.
        os.close(self.fd)
        self.fd = None


class Steps:
    """Says what set-up does, with the seconds since it began."""

    def __init__(self, title):
        self.start = time.monotonic()
        self.live = sys.stderr.isatty()
        note(title)

    def __call__(self, step):
        note(f"  {time.monotonic() - self.start:5.1f} s  {step}")

    def detail(self, text):
        """What the step is at just now: shown on a terminal only, and wiped again."""
        if self.live:
            shown = f"           {text}"[:78] if text else ""
            sys.stderr.write(f"\r{shown:<78}\r{shown}" if shown else "\r" + " " * 78 + "\r")
            sys.stderr.flush()


def note(text):
    """To stderr, because stdout belongs to the command (`run.py export > file`)."""
    print(text, file=sys.stderr, flush=True)


def clean_environment():
    env = dict(os.environ)
    # A desktop GIS may have set the first four; they lead the wheels to a foreign PROJ or GDAL.
    for name in (*("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH"), *PYTHON_SETTINGS):
        env.pop(name, None)
    # Without bytecode files every start would compile all packages again: 2 s in place of 0.5 s.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["PYTHONUTF8"] = "1"
    return env


def pip_environment():
    env = clean_environment()
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_REQUIRE_VIRTUALENV"):
        env.pop(name, None)
    env["PIP_USER"] = "0"
    env.setdefault("PIP_RETRIES", "3")
    return env


def start(module, args):
    """Become `python -m MODULE ARGS` in the venv; on Windows wait for it and return its exit code."""
    command = [str(venv_python()), "-P", "-m", module, *args]
    env = clean_environment()
    # The working folder stays the user's, so that file names in ARGS mean what they say.
    env["PYTHONPATH"] = str(ROOT)
    if WINDOWS:  # where execve leaves the console before the child is done
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the child
        return subprocess.run(command, env=env, check=False).returncode
    sys.stderr.flush()
    os.execve(command[0], command, env)


def bench(args):
    """Become tests/bench_WHAT.py; each has --help."""
    there = sorted(p.stem[len("bench_") :] for p in (ROOT / "tests").glob("bench_*.py"))
    if not args or args[0] not in there:
        raise Problem(f"Say what to measure: {', '.join(there)} (such as: python run.py bench siting --help).")
    return start(f"tests.bench_{args[0]}", args[1:])


def main(args):
    command, rest = (args[0], args[1:]) if args else ("", [])
    if command in ("", "help", "-h", "--help"):
        print(__doc__.strip())
        return 0 if command else 1
    if command in ("setup", "bundle") and {"-h", "--help"} & set(rest):
        print(__doc__.strip())
        return 0
    try:
        if command == "bundle":
            bundle(rest)
            return 0
        set_up("test" if command == "test" or (command == "setup" and "--test" in rest) else "app")
        if command == "setup":
            return 0
        if command == "test":
            os.chdir(ROOT)
            return start("pytest", rest)
        if command == "bench":
            return bench(rest)
        return start("server.cli", [command, *rest])
    except KeyboardInterrupt:
        note("\nStopped. Run the same command again to go on.")
        return 130
    except (Problem, assets.AssetError) as problem:
        note(f"error: {problem}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            note(f"error: The disk is full. Free about {FREE_MB['test']} MB, {AGAIN}.")
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            note(f"error: {error.filename or ROOT} cannot be written; copy the project to a folder of yours.")
        else:
            note(f"error: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
