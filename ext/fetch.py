"""A plain ``jupyter-book build .`` in a fresh clone: brings in MathJax, as ``make book`` does."""

import importlib.util
import subprocess
from pathlib import Path

from sphinx.errors import ExtensionError

ADVICE = "run `make book`, which brings in MathJax and builds the book"


def fetch(app):
    """Call tools/vendor.py where the pages would name a MathJax that is not there."""
    remote = "://" in (app.config.mathjax_path or "")
    source = Path(app.srcdir)
    # vendor.py writes the file last: without it a copy was interrupted.
    if app.builder.format != "html" or remote or (source / "assets" / "vendor" / ".key").exists():
        return
    path = source / "tools" / "vendor.py"
    if not path.exists():
        raise ExtensionError(f"assets/vendor is missing, and tools/vendor.py too: {ADVICE}.")
    spec = importlib.util.spec_from_file_location("vendor", path)
    vendor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vendor)
    try:
        vendor.main()
    # It ends with SystemExit where the package has another layout.
    except (OSError, subprocess.CalledProcessError, SystemExit) as error:
        raise ExtensionError(f"assets/vendor is missing, and npm could not fill it ({error}): "
                             f"{ADVICE}.") from error


def setup(app):
    app.connect("builder-inited", fetch)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
