"""The parts of the live book: its locks, its wheels and its button.  No network, no browser."""

import gzip
import importlib.util
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "live").glob("*.txt"))


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def live():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        yield module(ROOT / "tools" / "live.py")
    finally:
        sys.path.remove(str(ROOT / "tools"))


@pytest.mark.parametrize("path", LOCKS, ids=[p.name for p in LOCKS])
def test_every_line_of_a_lock_is_a_version_with_hashes(path):
    text = path.read_text().replace("\\\n", " ")
    assert "://" not in text
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert re.fullmatch(
            r"[\w.-]+==[\w.+]+( *;[^#]*?)?( +--hash=sha256:[0-9a-f]{64})+ *", line), line


def test_every_file_of_pyodide_has_a_hash(live):
    pins = json.loads((ROOT / "live" / "pyodide.json").read_text())
    assert set(live.CORE) < set(pins["files"])
    assert all(re.fullmatch("[0-9a-f]{64}", pin) for pin in pins["files"].values())


def test_the_change_of_the_linker_is_made_or_the_build_stops(live):
    text = " ".join(live.OPEN_SYMBOLS)
    assert live.linker(text).splitlines()[1] == " ".join(live.OPEN_SYMBOLS.values())
    for other in (text * 2, text[1:]):
        with pytest.raises(SystemExit, match="links otherwise"):
            live.linker(other)


def test_what_runs_in_the_browser_is_what_the_readers_have(live):
    """ipywidgets here and there speak the same protocol only if they are of one version."""
    pinned = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text(), re.M))
    wheels = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "live/wheels.txt").read_text(), re.M))
    tools = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "live/tools.txt").read_text(), re.M))
    assert wheels["ipywidgets"] == pinned["ipywidgets"]
    assert tools["jupyterlab-widgets"] == pinned["jupyterlab-widgets"]


def test_the_library_wheel_holds_this_library(live, tmp_path):
    with zipfile.ZipFile(live.library_wheel(tmp_path)) as wheel:
        names = set(wheel.namelist())
        for path in (ROOT / "lcnlib").rglob("*.py"):
            assert wheel.read(path.relative_to(ROOT).as_posix()) == path.read_bytes()
    assert not [n for n in names if "__pycache__" in n]


def test_all_packages_are_in_one_file(live, tmp_path, monkeypatch):
    """It is read here as live/python.mjs reads it."""
    monkeypatch.setattr(live, "PYODIDE", tmp_path)
    live.write_wheel(tmp_path, "one", "1.0", {"one/a.py": b"x = 1\n", "both.txt": b"old"})
    live.write_wheel(tmp_path, "two", "1.0", {
        "both.txt": b"new and longer", "two.data/data/c": b"c", "two/tests/data/d": b"d"})
    data = gzip.decompress(live.site_packages())
    end = 4 + int.from_bytes(data[:4], "little")
    files = {}
    for name, size in json.loads(data[4:end]).items():
        files[name], end = data[end:end + size], end + size
    assert end == len(data)
    found = {name: content for name, content in files.items() if "dist-info" not in name}
    assert found == {"one/a.py": b"x = 1\n", "both.txt": b"new and longer"}
    assert live.site_packages() == live.site_packages()  # a browser may keep it


def test_the_sample_files_lie_where_matplotlib_looks(live, tmp_path):
    with zipfile.ZipFile(live.sample_wheel(tmp_path)) as wheel:
        assert "matplotlib/mpl-data/sample_data/jacksboro_fault_dem.npz" in wheel.namelist()


@pytest.fixture
def work(live, tmp_path, monkeypatch):
    """Nothing is fetched yet, and the index has only a wheel that carries wrong files."""
    for name in ("WORK", "WHEELS", "PYODIDE"):
        monkeypatch.setattr(live, name, tmp_path / name)
    monkeypatch.setattr(live, "RELEASE", (tmp_path / "release").as_uri() + "/{}/")
    lock = live.LIVE / "pyodide.json"
    pins = json.loads(lock.read_text())

    def download(*command):
        asked = Path(command[-1]).read_text()
        if live.CARRIER in asked:
            with zipfile.ZipFile(live.WHEELS / f"{live.CARRIER}-0-py3-none-any.whl", "w") as z:
                for name in [*pins["files"], "pyodide-lock.json"]:
                    z.writestr(live.INSIDE + name, "something else")

    monkeypatch.setattr(live, "run", download)
    return pins


def test_a_wrong_file_is_refused(live, work):
    with pytest.raises(SystemExit, match="is not the file named in live/"):
        live.pyodide()


def test_pyodides_own_release_comes_first(live, work, tmp_path, monkeypatch):
    files = {name: name.encode() for name in [*work["files"], "pyodide-lock.json"]}
    folder = tmp_path / "release" / work["version"]
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    mine = tmp_path / "live"
    mine.mkdir()
    (mine / "wheels.txt").write_text((live.LIVE / "wheels.txt").read_text())
    (mine / "pyodide.json").write_text(json.dumps(work | {
        "lock": live.sha256(b"pyodide-lock.json"),
        "files": {name: live.sha256(name.encode()) for name in work["files"]}}))
    monkeypatch.setattr(live, "LIVE", mine)
    assert live.pyodide_files() == files
    assert not list(live.WHEELS.glob("*.whl"))  # the carrier is not asked for
    shutil.rmtree(folder)  # they are kept
    assert live.pyodide_files() == files


def test_a_release_with_another_file_is_left(live, work, tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "a").write_text("not what was named")
    assert live.released({"a": live.sha256(b"named")}, folder.as_uri() + "/") is None
    assert live.released({"a": live.sha256(folder / "a")}, folder.as_uri() + "/") == {
        "a": b"not what was named"}


@pytest.mark.parametrize(("page", "expected"), [
    ("book/01_polynomials", "../lite/notebooks/index.html?path=01_polynomials.ipynb"),
    ("a/b/c", "../../lite/notebooks/index.html?path=c.ipynb"),
    ("top", "lite/notebooks/index.html?path=top.ipynb"),
])
def test_the_button_leads_from_its_page_to_its_chapter(page, expected):
    assert module(ROOT / "ext" / "live_button.py").address(page) == expected


@pytest.mark.parametrize("built", [True, False])
def test_the_button_is_there_only_where_the_live_book_is(monkeypatch, built):
    button = module(ROOT / "ext" / "live_button.py")
    monkeypatch.delenv("LCN_BOOK_LIVE", raising=False)
    if built:
        monkeypatch.setenv("LCN_BOOK_LIVE", "1")
    handlers = []
    button.setup(SimpleNamespace(connect=lambda event, f, priority: handlers.append(f)))
    assert bool(handlers) == built
    for suffix, count in ((".ipynb", built), (".md", 0)):
        app = SimpleNamespace(env=SimpleNamespace(doc2path=lambda name, s=suffix: name + s))
        context = {"header_buttons": []}
        for handler in handlers:
            handler(app, "book/page", "page.html", context, object())
        assert len(context["header_buttons"]) == count


def test_packages_come_with_byte_code_and_the_library_with_its_source(live, tmp_path, monkeypatch):
    """What was compiled is kept by its hash; the lock names what the browser gets."""
    for name in ("WORK", "PYODIDE"):
        monkeypatch.setattr(live, name, tmp_path / name)
    live.PYODIDE.mkdir()
    asked = []

    def node(*command):
        _, _, old, new, *names = command
        asked.extend(names)
        for name in names:
            Path(new, name).write_bytes(b"byte code of " + Path(old, name).read_bytes())

    monkeypatch.setattr(live, "run", node)
    monkeypatch.setattr(live.vendor, "command", lambda program: [program])

    def fill():
        packages = {}
        (live.PYODIDE / live.STDLIB).write_text("library")
        for name in ("numpy", "lcnlib"):
            path = live.PYODIDE / f"{name}-1.whl"
            path.write_text(name)
            packages[name] = {"file_name": path.name, "sha256": live.sha256(path)}
        live.with_byte_code(packages)
        return packages

    for _ in range(2):
        packages = fill()
        assert (live.PYODIDE / "numpy-1.whl").read_bytes() == b"byte code of numpy"
        assert (live.PYODIDE / live.STDLIB).read_bytes() == b"byte code of library"
        assert (live.PYODIDE / "lcnlib-1.whl").read_bytes() == b"lcnlib"
        for entry in packages.values():
            assert entry["sha256"] == live.sha256(live.PYODIDE / entry["file_name"])
    assert sorted(asked) == ["numpy-1.whl", live.STDLIB]  # once
