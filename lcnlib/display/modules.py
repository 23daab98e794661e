"""The pictures that a reader drags: their sources, joined into one script or one module.

Browsers load no ES module from ``file://``, and a widget in JupyterLab is one module without
imports.  So the sources in ``explorables/`` are joined, each in the scope of all: a name at the top
level of one file is used by no other.
"""

import re
from functools import cache
from pathlib import Path

__all__ = ["module", "script"]

HERE = Path(__file__).resolve().parent
# In a wheel inside the package, in a checkout beside lcnlib.
FOLDERS = (HERE / "explorables", HERE.parents[1] / "explorables")
FIRST = ["lcn.js", "stage.js"]
LAST = "main.js"
IMPORT = re.compile(r"^import\b[^;]*;\n", re.M)


def folder():
    """Where the sources are."""
    for place in FOLDERS:
        if (place / LAST).exists():
            return place
    raise FileNotFoundError(f"explorables: expected the pictures' sources in one of {FOLDERS}")


def sources():
    """The files in the order of joining."""
    pictures = sorted(p.name for p in folder().glob("*.js") if p.name not in (*FIRST, LAST))
    return [folder() / name for name in (*FIRST, *pictures, LAST)]


@cache
def _joined():
    text = "".join(IMPORT.sub("", path.read_text(encoding="utf-8")) for path in sources())
    # Comments and indentation are for people, who read the sources.
    return re.sub(r"^\s*(?://.*)?\n|^[ \t]+|[ \t]+// .*$", "", text, flags=re.M)


def module():
    """One ES module, whose default export is an anywidget."""
    return _joined() + "export default { render };\n"


def script():
    """One classic script, which brings the pictures of its page to life."""
    body = re.sub(r"^export ", "", _joined(), flags=re.M)
    return f'(function () {{\n"use strict";\n{body}start();\n}})();\n'
