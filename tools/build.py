"""Build the book strictly and say where it is.

usage: python tools/build.py [--cold] [OUT]

Once `make live` has been run, JupyterLite and its button are built anew with the book.

Only pages that have changed are read anew, and written, or all of them when what they show of each
other has changed (ext/only_changed.py).  After a build with a fault all are read anew: a
page's own faults are told when it is read.  Notebooks are executed as many at a time as there are
cores.  Executed cells are kept between builds, but not past a change of the library's code (its
comments and docstrings may change) or of the lock; ``--cold`` starts from nothing.  OUT is the
build folder, ``_build`` by default.
"""

import ast
import gc
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import vendor
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "ext"))
import publishing  # noqa: E402

# jsonschema compiles its 38 grammars for kinds of addresses that occur nowhere here: 2.5 seconds.
sys.modules["rfc3987_syntax"] = None


def digest(*parts):
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def code(path):
    """A module's code without comments and docstrings."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) \
                and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def contents(*patterns):
    """The files that match, with what is in them."""
    files = sorted(p for pattern in patterns for p in ROOT.glob(pattern)
                   if p.is_file() and not {"__pycache__", "vendor"} & set(p.parts))
    return digest(*(f"{p.relative_to(ROOT)} {hashlib.sha256(p.read_bytes()).hexdigest()}"
                    for p in files))


def code_key():
    """Hash of everything, besides the notebooks, that their output depends on."""
    modules = sorted(ROOT.glob("lcnlib/**/*.py"))
    return digest(*(f"{p.relative_to(ROOT)} {code(p)}" for p in modules),
                  contents("lcnlib/**/*.json", "explorables/*.js", "requirements.txt",
                           "book/**/*.npz", "book/**/*.csv", "book/**/*.py"))


def pages_key(code):
    """Hash of what every page depends on: after a change all of them are read anew."""
    names = sorted(p.name for p in ROOT.glob("book/*") if p.suffix in (".ipynb", ".md"))
    return digest(code, *names, os.environ.get("LCN_BOOK_LIVE", ""),
                  contents("_config.yml", "_toc.yml", "ext/**/*", "assets/*", "tools/*",
                           "book/references.bib", "package-lock.json"))


def execute(folder):
    """Execute the notebooks that the cache in `folder` lacks, all cores at work.

    Jupyter Book, which executes one after the other, then finds them there.  One that fails is not
    stored: Jupyter Book executes it again and reports what is wrong.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.executors import load_executor

    start = time.monotonic()
    cache = get_cache(folder)
    # The longest first, so that no core waits at the end; the size of the file tells well enough.
    paths = sorted(ROOT.glob("book/*.ipynb"), key=lambda p: p.stat().st_size, reverse=True)
    uris = [cache.add_nb_to_project(str(path)).uri for path in paths]
    logger = logging.getLogger("execute")
    logger.setLevel(logging.INFO)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    done = load_executor("local-parallel", cache, logger).run_and_cache(
        filter_uris=uris, timeout=config["execute"]["timeout"])
    for uri in done.succeeded:
        seconds = cache.get_cached_project_nb(uri).data["execution_seconds"]
        print(f"{seconds:6.1f} s  {Path(uri).stem}")
    print(f"{time.monotonic() - start:6.1f} s  for all of them", flush=True)


def jupyter_book(*arguments):
    """What the command of that name returns; here, as its modules are loaded already."""
    from jupyter_book.cli.main import main as command

    os.chdir(ROOT)
    # Trees of pages by the million nodes, hardly any of them given up: searching them for rubbish
    # takes a third of the time.
    gc.disable()
    try:
        command(arguments)
    except SystemExit as end:  # so the command ends, with a fault or without
        return end.code


def main(*args):
    cold = "--cold" in args
    out = next((Path(a).resolve() for a in args if a != "--cold"), ROOT / "_build")
    # Jupyter Book puts _build into the folder it is given.
    parent = out.parent if out.name == "_build" else out
    out = parent / "_build"
    if cold:
        shutil.rmtree(out, ignore_errors=True)
    cache, key, state = out / ".jupyter_cache", out / ".code-sha256", out / ".pages-sha256"
    index = out / "html" / "index.html"
    live = "LCN_BOOK_LIVE" not in os.environ and (out / "live" / ".made").exists()
    if live:
        os.environ["LCN_BOOK_LIVE"] = "1"
    now = code_key()
    shared = pages_key(now)
    everything = f"{shared} {contents('book/**/*', 'lcnlib/**/*.py', 'tests/*.py', 'live/*')}"
    # There is a state only after a build without a fault.
    before = state.read_text() if state.exists() and index.exists() else ""
    if before == everything:
        print(f"Nothing has changed.\nThe book is in {index}")
        return
    if not key.exists() or key.read_text() != now:
        shutil.rmtree(cache, ignore_errors=True)
    state.unlink(missing_ok=True)
    if before.split(" ")[0] != shared:
        for stale in ("html", ".doctrees"):
            shutil.rmtree(out / stale, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    key.write_text(now)
    vendor.main()
    os.environ["LCN_BOOK_STATIC"] = "1"
    execute(cache)
    fault = jupyter_book("build", str(ROOT), "--path-output", str(parent), "-W", "-n",
                         "--keep-going")
    if fault or not index.exists():
        sys.exit("The book was not built: the warnings and errors above say why.")
    publishing.protect(index.parent)  # the first page, which only leads on, is no page of Sphinx
    publishing.hashes(index.parent)
    preview = index.parent / "_static" / "preview.png"
    if not preview.exists():
        # In a process of its own: it draws, and this one has not loaded matplotlib.
        subprocess.run([sys.executable, ROOT / "tools" / "picture.py", "preview", preview],
                       cwd=ROOT, check=True)
    if live:
        subprocess.run([sys.executable, ROOT / "tools" / "live.py", "lite", index.parent],
                       cwd=ROOT, check=True)
    state.write_text(everything)
    print(f"\nThe book is in {index}")


if __name__ == "__main__":
    main(*sys.argv[1:])
