"""What a plain ``jupyter-book build .`` lacks.

Before it, MathJax; after it, the notebooks to download, as they are outside of the book.
"""

import importlib
import subprocess
import sys
from pathlib import Path

from sphinx.errors import ExtensionError

ADVICE = "run `make book`, which brings in MathJax and builds the book"


def tool(app, name):
    """The module tools/NAME.py of this book, or None in a book that has none."""
    folder = Path(app.srcdir) / "tools"
    if not (folder / f"{name}.py").exists():
        return None
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module(name)


def fetch(app):
    """Call tools/vendor.py where the pages would name a MathJax that is missing or not the lock's.

    Without tools or lock, what is there has to do.
    """
    if app.builder.format != "html" or "://" in (app.config.mathjax_path or ""):
        return
    source, vendor = Path(app.srcdir), tool(app, "vendor")
    # vendor.py writes this file last: without it a copy was interrupted.
    stamp = source / "assets" / "vendor" / ".key"
    there = stamp.read_text() if stamp.exists() else None
    locked = vendor and (source / "package-lock.json").exists()
    if there and (not locked or there == vendor.key()):
        return
    if not vendor:
        raise ExtensionError(f"assets/vendor is missing, and tools/vendor.py too: {ADVICE}.")
    try:
        vendor.main()
    # It ends with SystemExit where the package has another layout.
    except (OSError, subprocess.CalledProcessError, SystemExit) as error:
        raise ExtensionError("assets/vendor is missing or out of date, and npm could not fill it "
                             f"({error}): {ADVICE}.") from error


def write_downloads(app, exception):
    """Make plain notebooks of the sources that Sphinx has copied for readers to download."""
    if not exception and app.builder.format == "html" and (downloads := tool(app, "downloads")):
        downloads.main(Path(app.outdir), Path(app.srcdir))


def setup(app):
    app.connect("builder-inited", fetch)
    app.connect("build-finished", write_downloads)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
