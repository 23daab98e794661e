"""Build the book strictly and say where it is.

usage: python tools/build.py [--cold] [OUT]

Every page is read anew, because a second incremental build passes over the faults of the first.
Executed cells are kept between builds, but not past a change of the library or of the lock;
``--cold`` starts from nothing.  OUT is the build folder, ``_build`` by default.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import downloads
import vendor

ROOT = Path(__file__).resolve().parents[1]


def code_key():
    """Hash of everything, besides the notebooks, that their output depends on."""
    files = [*sorted(ROOT.glob("lcnlib/**/*.py")), *sorted(ROOT.glob("lcnlib/*.json")),
             ROOT / "requirements.txt", *sorted(
        p for p in ROOT.glob("book/**/*") if p.suffix in (".npz", ".csv", ".py"))]
    return hashlib.sha256(b"".join(
        f"{p.relative_to(ROOT)}\n".encode() + p.read_bytes() for p in files)).hexdigest()


def main(*args):
    cold = "--cold" in args
    out = next((Path(a).resolve() for a in args if a != "--cold"), ROOT / "_build")
    # Jupyter Book puts _build into the folder it is given.
    parent = out.parent if out.name == "_build" else out
    out = parent / "_build"
    if cold:
        shutil.rmtree(out, ignore_errors=True)
    cache, key = out / ".jupyter_cache", out / ".code-sha256"
    now = code_key()
    if not key.exists() or key.read_text() != now:
        shutil.rmtree(cache, ignore_errors=True)
    for stale in ("html", ".doctrees"):
        shutil.rmtree(out / stale, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    key.write_text(now)
    vendor.main()
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--path-output",
               parent, "-W", "-n", "--keep-going", "--all"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "LCN_BOOK_STATIC": "1"})
    index = out / "html" / "index.html"
    if done.returncode or not index.exists():
        sys.exit("The book was not built: the warnings and errors above say why.")
    downloads.main(index.parent)
    # In a process of its own: it draws, and this one has not loaded matplotlib.
    subprocess.run([sys.executable, ROOT / "tools" / "picture.py", "preview",
                    index.parent / "_static" / "preview.png"], cwd=ROOT, check=True)
    print(f"\nThe book is in {index}")


if __name__ == "__main__":
    main(*sys.argv[1:])
