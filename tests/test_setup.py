"""The set-up: run.py, server/assets.py, the pinned files. Nothing here uses the network."""

import ast
import fnmatch
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker

import run
from server import assets

ROOT = Path(__file__).resolve().parents[1]
PINNED = ("requirements.txt", "tests/requirements.txt")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder in which run.py installs nothing; returns the list of what it would have run."""
    done = []
    for name in PINNED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a==1 --hash=sha256:00\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(run, "WHEELHOUSE", tmp_path / "wheelhouse")
    monkeypatch.setattr(run, "FREE_MB", {"app": 0, "test": 0})
    monkeypatch.setattr(run, "assets_ready", lambda kind: True)
    monkeypatch.setattr(run, "compile_packages", lambda: None)

    def make_venv():
        run.venv_python().parent.mkdir(parents=True)
        run.venv_python().write_bytes(b"")
        (run.VENV / "pyvenv.cfg").write_text(f"home = {tmp_path}\n")
        done.append("venv")

    def pip_install(what, say, lock):
        done.append([Path(part).relative_to(run.ROOT).as_posix() for part in what if part != "-r"])

    monkeypatch.setattr(run, "make_venv", make_venv)
    monkeypatch.setattr(run, "pip_install", pip_install)
    return done


APP = ["venv", ["requirements.txt"]]
TESTS_ON_TOP = [["requirements.txt", "tests/requirements.txt"]]


def test_a_package_that_was_removed_from_a_finished_environment_is_put_back(project, monkeypatch):
    def with_a_package(what, say, lock):
        (run.VENV / "lib/python3.11/site-packages/flask").mkdir(parents=True, exist_ok=True)
        (run.VENV / "lib/python3.11/site-packages/flask/__init__.py").write_bytes(b"")
        project.append("installed")

    monkeypatch.setattr(run, "pip_install", with_a_package)
    run.set_up("app")
    run.set_up("app")
    assert project == ["venv", "installed"]
    (run.VENV / "lib/python3.11/site-packages/flask/__init__.py").unlink()
    run.set_up("app")
    assert project == ["venv", "installed"] * 2


# run.py: an old Python


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ((3, 8, 18), "Python 3.11 or newer is needed; this is 3.8.18"),
        ((3, 10, 0), "Python 3.11 or newer is needed; this is 3.10.0"),
        ((3, 11, 0), None),
        ((4, 0, 0), None),
    ],
)
def test_an_old_python_is_told_so(version, line):
    assert run.too_old(version) == line


def test_an_old_python_gets_one_line_and_exit_code_1():
    code = "import sys, runpy; sys.version_info = (3, 9, 2); runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, ROOT / "run.py"], capture_output=True, text=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (1, "Python 3.11 or newer is needed; this is 3.9.2\n")


def test_python_3_8_can_parse_run():
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 8))


# run.py: what is done again, and what is not


@pytest.mark.skipif(os.name == "nt", reason="there the names of files do not hang on the locale")
def test_the_environment_is_the_same_one_in_every_locale(tmp_path):
    folder = tmp_path / ("Cảng Xanh thử nghiệm " * 8).strip()
    folder.mkdir()
    code = "import run; run.VENV = run.Path.cwd() / '.venv'; print(run.wanted_stamp('app'))"
    stamps = set()
    for locale in ({"PYTHONUTF8": "1"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}, {"PYTHONIOENCODING": "cp1252"}):
        env = os.environ | {"PYTHONPATH": str(ROOT)} | locale
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, check=True)
        stamps.add(done.stdout.strip())
    assert len(stamps) == 1


def test_the_second_start_does_nothing(project, capsys):
    run.set_up("app")
    assert project == APP
    said = capsys.readouterr()
    assert said.out == ""  # stdout belongs to the command
    assert "Ready." in said.err
    run.set_up("app")
    assert project == APP
    assert capsys.readouterr().err == ""


def test_test_after_serve_adds_packages_and_serve_after_test_does_nothing(project):
    run.set_up("app")
    run.set_up("test")
    run.set_up("app")
    run.set_up("test")
    assert project == APP + TESTS_ON_TOP


def test_test_on_a_fresh_clone_installs_once(project):
    run.set_up("test")
    run.set_up("app")
    assert project == ["venv", *TESTS_ON_TOP]


def spoil_stamp():
    run.stamp_path("app").write_bytes(b"\xff\x00 not a stamp")


def change_pins():
    (run.ROOT / "requirements.txt").write_text("a==2 --hash=sha256:00\n")


def lose_python():
    run.venv_python().unlink()


def lose_the_python_below():
    (run.VENV / "pyvenv.cfg").write_text(f"home = {run.ROOT / 'no such folder'}\n")


def lose_config():
    (run.VENV / "pyvenv.cfg").unlink()


@pytest.mark.parametrize("harm", [spoil_stamp, change_pins, lose_python, lose_the_python_below, lose_config])
def test_a_broken_or_outdated_environment_is_made_again(project, harm):
    run.set_up("app")
    harm()
    run.set_up("app")
    assert project == APP + APP
    assert [path.name for path in run.ROOT.glob(".venv*")] == [".venv"]


def test_a_moved_project_is_set_up_again(project, monkeypatch):
    run.set_up("app")
    moved = run.ROOT.parent / (run.ROOT.name + " moved")
    os.rename(run.ROOT, moved)
    monkeypatch.setattr(run, "ROOT", moved)
    monkeypatch.setattr(run, "VENV", moved / ".venv")
    assert not run.python_ready("app")


def test_another_python_is_set_up_again(project, monkeypatch):
    run.set_up("app")
    monkeypatch.setattr(sys, "version", sys.version + " other")
    assert not run.python_ready("app")


def test_new_test_pins_leave_the_app_alone(project):
    run.set_up("test")
    (run.ROOT / "tests/requirements.txt").write_text("b==2 --hash=sha256:00\n")
    assert run.python_ready("app")
    assert not run.python_ready("test")


def test_a_pip_killed_half_way_is_not_trusted(project, monkeypatch):
    run.set_up("app")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "pip_install", killed)
        run.set_up("test")
    run.set_up("app")
    assert project == APP  # the app's own packages were not touched
    run.set_up("test")
    assert project == [*APP, "venv", *TESTS_ON_TOP]


def test_a_failed_update_brings_the_old_environment_back(project, monkeypatch):
    run.set_up("app")
    old_pins = (run.ROOT / "requirements.txt").read_text(encoding="utf-8")
    change_pins()

    def fails(*_):
        raise run.Problem("no network")

    with monkeypatch.context() as patch, pytest.raises(run.Problem):
        patch.setattr(run, "pip_install", fails)
        run.set_up("app")
    (run.ROOT / "requirements.txt").write_text(old_pins)
    assert run.python_ready("app")


def test_a_lost_browser_library_is_fetched_without_touching_the_environment(project, monkeypatch):
    run.set_up("app")
    fetched = []
    monkeypatch.setattr(run, "assets_ready", lambda kind: bool(fetched))
    monkeypatch.setattr(assets, "fetch", lambda groups, pip: fetched.append(groups))
    run.set_up("app")
    assert fetched == [("app",)]
    assert project == APP


def test_only_one_set_up_at_a_time(tmp_path):
    with run.Lock(tmp_path / "lock"):
        other = run.Lock(tmp_path / "lock")
        other.fd = os.open(tmp_path / "lock", os.O_RDWR)
        assert not other.take()
    assert other.take()
    os.close(other.fd)


def test_a_lock_left_by_a_dead_process_does_not_stop_anybody(tmp_path):
    (tmp_path / "lock").write_bytes(b"")
    with run.Lock(tmp_path / "lock") as lock:
        assert lock.fd is not None


# run.py: errors in one line


@pytest.mark.parametrize(
    ("pip_output", "words"),
    [
        ("WARNING: Retrying ... Temporary failure in name resolution\nERROR: No matching", "to the internet"),
        ("ERROR: Could not find a version (from versions: none)\nERROR: No matching x", "to the internet"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE FILE", "not the pinned one"),
        ("ERROR: No matching distribution found for x==1", "64 bit"),
        ("strange\nERROR: odd thing\n[notice] A new release of pip", "pip said: ERROR: odd thing"),
        ("", "no message"),
    ],
)
def test_pip_errors_are_explained(project, pip_output, words):
    line = run.explain_pip(pip_output.splitlines())
    assert words in line
    assert "\n" not in line


def test_a_wheelhouse_without_the_right_wheels_is_named(project):
    run.WHEELHOUSE.mkdir()
    line = run.explain_pip(["ERROR: No matching distribution found for x==1"])
    assert line.startswith("wheelhouse/ lacks a package")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (run.Problem("Say this."), "error: Say this.\n"),
        (assets.AssetError("Say that."), "error: Say that.\n"),
        (PermissionError(13, "denied", "/x/.setup.lock"), "error: /x/.setup.lock cannot be written"),
        (OSError(28, "full"), "error: The disk is full"),
    ],
)
def test_errors_are_one_line_and_exit_code_1(monkeypatch, capsys, error, line):
    def fails(kind):
        raise error

    monkeypatch.setattr(run, "set_up", fails)
    assert run.main(["serve"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_small_disk_is_refused_before_anything_is_made(project, monkeypatch):
    monkeypatch.setattr(run, "FREE_MB", {"app": 10**9})
    with pytest.raises(run.Problem, match="free disk space"):
        run.set_up("app")
    assert project == []


# run.py: the start


@pytest.mark.skipif(os.name == "nt", reason="Windows waits for a child instead")
def test_the_command_starts_in_a_clean_environment(project, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *call: started.append(call))
    for name in ("PROJ_LIB", "GDAL_DATA", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "1")
    run.main(["export", "file.gpkg"])
    (path, command, env) = started[0]
    assert path == command[0] == str(run.venv_python())
    assert command[1:] == ["-P", "-m", "server.cli", "export", "file.gpkg"]
    assert not {"PROJ_LIB", "GDAL_DATA", "PYTHONDONTWRITEBYTECODE"} & set(env)
    assert env["PYTHONUTF8"] == "1"
    assert env["PYTHONPATH"] == str(run.ROOT)


def test_help_needs_no_set_up(monkeypatch, capsys):
    monkeypatch.setattr(run, "set_up", lambda kind: pytest.fail("set-up was started"))
    assert run.main(["--help"]) == 0
    assert "python run.py serve" in capsys.readouterr().out
    assert run.main([]) == 1


# server/assets.py


SPEC = "@scope/thing@1.0.0"


def tarball(path, files, *, link=None):
    """A package as npm makes it; files maps the path in the tarball to text."""
    about = {"name": SPEC.rpartition("@")[0], "version": "1.0.0"}
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {"package/package.json": json.dumps(about), **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            tar.addfile(info)
    return path


GOOD = {"package/dist/a.js": "A", "package/dist/b.js": "B", "package/LICENSE": "free", "package/x.md": "X"}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A lock for one package, an empty vendor folder, and an npm that delivers shelf.tarball."""

    class Shelf:
        vendor = tmp_path / "vendor"
        lock = tmp_path / "lock.json"
        wheelhouse = tmp_path / "wheelhouse"
        tarball = tarball(tmp_path / "thing.tgz", GOOD)

        def write_lock(self, digest=None, files=("dist/a.js",)):
            digest = digest or assets.sha512(self.tarball)
            entry = {"group": "app", "sha512": digest, "files": list(files)}
            self.lock.write_text(json.dumps({"packages": {SPEC: entry}, "npm_wheel": []}))

        def fetch(self):
            return assets.fetch(vendor=self.vendor, lock_path=self.lock, wheelhouse=self.wheelhouse)

        def kept(self):
            return sorted(p.relative_to(self.vendor).as_posix() for p in self.vendor.rglob("*") if p.is_file())

    shelf = Shelf()

    def npm_pack(specs, scratch, **_):
        shelf.asked.append(specs)
        return dict.fromkeys(specs, shelf.tarball)

    monkeypatch.setattr(assets, "npm_pack", npm_pack)
    shelf.asked = []
    shelf.write_lock()
    return shelf


KEPT = ["@scope__thing/.unpacked", "@scope__thing/LICENSE", "@scope__thing/dist/a.js"]


def test_listed_files_and_the_licence_are_unpacked_once(shelf):
    assert shelf.fetch() == [SPEC]
    assert shelf.kept() == KEPT
    assert shelf.fetch() == []
    assert shelf.asked == [[SPEC]]


def test_a_changed_lock_is_noticed_and_the_folder_replaced(shelf):
    shelf.fetch()
    shelf.write_lock(files=["dist/b.js"])
    assert shelf.fetch() == [SPEC]
    assert shelf.kept() == ["@scope__thing/.unpacked", "@scope__thing/LICENSE", "@scope__thing/dist/b.js"]


def test_a_wrong_sha512_is_refused_with_the_name_of_the_package(shelf):
    shelf.fetch()
    shelf.write_lock(digest="sha512-AAAA", files=["dist/b.js"])
    with pytest.raises(assets.AssetError, match=SPEC):
        shelf.fetch()
    assert shelf.kept() == KEPT  # the old files are untouched, no scratch is left


@pytest.mark.parametrize(
    "name",
    [
        "package/../../evil.js",
        "/evil.js",
        "package/dist/../../../evil.js",
        "package\\..\\evil.js",
        "c:/evil.js",
    ],
)
def test_a_path_that_leaves_the_folder_is_refused(shelf, tmp_path, name):
    tarball(shelf.tarball, {**GOOD, name: "evil"})
    shelf.write_lock(files=["*"])
    with pytest.raises(assets.AssetError, match="unsafe path"):
        shelf.fetch()
    assert shelf.kept() == []
    assert not list(tmp_path.rglob("evil*"))


def test_a_link_is_refused(shelf):
    tarball(shelf.tarball, GOOD, link="package/dist/c.js")
    shelf.write_lock(files=["dist/*.js"])
    with pytest.raises(assets.AssetError, match="is a link"):
        shelf.fetch()
    assert shelf.kept() == []


def test_a_pattern_that_matches_nothing_is_named(shelf):
    shelf.write_lock(files=["dist/a.js", "dist/gone.js"])
    with pytest.raises(assets.AssetError, match=re.escape("dist/gone.js")):
        shelf.fetch()


def test_a_damaged_tarball_is_named(shelf):
    shelf.tarball.write_bytes(shelf.tarball.read_bytes()[:-30])
    shelf.write_lock(files=["dist/*"])
    with pytest.raises(assets.AssetError, match=SPEC):
        shelf.fetch()


def test_a_tarball_in_wheelhouse_needs_no_npm(shelf):
    shelf.wheelhouse.mkdir()
    tarball(shelf.wheelhouse / "other name.tgz", GOOD)
    shelf.write_lock(digest=assets.sha512(shelf.wheelhouse / "other name.tgz"))
    assert shelf.fetch() == [SPEC]
    assert shelf.asked == []


def test_scratch_of_a_killed_set_up_is_swept(shelf):
    (shelf.vendor / ".new-1").mkdir(parents=True)
    (shelf.vendor / ".new-1" / "half.js").write_text("")
    shelf.fetch()
    assert shelf.kept() == KEPT


def test_a_broken_lock_is_an_error_in_one_line(tmp_path):
    (tmp_path / "lock.json").write_text("{")
    with pytest.raises(assets.AssetError, match=re.escape("lock.json")):
        assets.read_lock(tmp_path / "lock.json")


# The pinned files


def test_every_browser_library_is_pinned_to_one_version_and_hash():
    lock = assets.read_lock()
    for spec, entry in lock["packages"].items():
        assert re.fullmatch(r"(@[\w-]+/)?[\w.-]+@\d+\.\d+\.\d+", spec)
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry["sha512"])
        assert entry["group"] in ("app", "test")
        assert entry["files"]
    assert all(part.startswith("--hash=sha256:") for part in lock["npm_wheel"][1:])


@pytest.mark.parametrize("name", [*PINNED, "server/assets.lock.json"])
def test_pinned_files_name_no_host_and_no_path_of_a_computer(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|file:|[\s=\"]/\w", text)


@pytest.mark.parametrize("name", PINNED)
def test_every_requirement_has_one_version_and_hashes(name):
    blocks = run.requirement_blocks(ROOT / name)
    assert blocks
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==[\w.]+ ", block), block
        assert re.search(r" --hash=sha256:[0-9a-f]{64}", block), block


def pins(name):
    """(name, version, marker) of each requirement of a pinned file."""
    rows = []
    for block in run.requirement_blocks(ROOT / name):
        pin, _, marker = block.partition(" --hash")[0].partition(";")
        rows.append((*pin.strip().split("=="), marker.strip() or "python_version > '3'"))
    return rows


PLATFORMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    run.WINDOWS_MARKERS,
]


@pytest.mark.parametrize("version", ["3.11.0", "3.12.0", "3.13.0"])
@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform["sys_platform"])
def test_every_declared_package_has_exactly_one_version_everywhere(platform, version):
    facts = {**platform, "python_full_version": version, "python_version": version[:4]}
    chosen = [
        (name, number) for path in PINNED for name, number, marker in pins(path) if Marker(marker).evaluate(facts)
    ]
    names = [name for name, _ in chosen]
    assert sorted(names) == sorted(set(names))
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = about["project"]["dependencies"] + about["dependency-groups"]["test"]
    assert {re.match(r"[\w-]+", line)[0] for line in declared} <= set(names)


def test_the_two_files_agree():
    app, extra = (
        {name: {row[1] for row in pins(path) if row[0] == name} for name, *_ in pins(path)} for path in PINNED
    )
    assert all(app[name] == extra[name] for name in set(app) & set(extra))


def test_bundle_keeps_what_only_the_other_platform_needs(monkeypatch):
    monkeypatch.setattr(run, "venv_python", lambda: Path(sys.executable))
    blocks = ["a==1 ; sys_platform == 'win32' --hash=sha256:aa", "b==1 --hash=sha256:bb"]
    assert run.pins_for("win_amd64", blocks) == ["a==1  --hash=sha256:aa", "b==1 --hash=sha256:bb"]


# The folder


def test_top_level_names():
    ignored = [
        line.strip().rstrip("/")
        for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    allowed = {"server", "geo", "layers", "templates", "tests", "README.md"}
    allowed |= {"requirements.txt", "requirements-parquet.txt", "requirements-oidc.txt"}
    allowed |= {"run.py", "pyproject.toml", ".ci", ".gitignore", ".git"}
    names = {path.name for path in ROOT.iterdir()}
    names = {name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)}
    assert names <= allowed


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such bit")
def test_ci_run_is_executable():
    assert os.access(ROOT / ".ci/run", os.X_OK)
