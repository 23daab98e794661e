"""The pictures that a reader drags: their sources, joined into one script or one module.

Browsers load no ES module from ``file://``, and a widget in JupyterLab is one module without
imports.  So the sources in ``explorables/`` are joined, each in a scope of its own.
"""

import re
from functools import cache
from pathlib import Path

__all__ = ["module", "script"]

HERE = Path(__file__).resolve().parent
# In a wheel inside the package, in a checkout beside lcnlib.
FOLDERS = (HERE / "explorables", HERE.parents[1] / "explorables")
FIRST = ["lcn.js", "stage.js", "surface.js", "photograph.js"]
LAST = "main.js"
IMPORT = re.compile(r"""^import (\* as )?(\{[^}]*\}|\w+) from "\./(\w+)\.js";\n""", re.M)
EXPORT = re.compile(r"^export (?=(?:function|const|class) (\w+))", re.M)


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


def _scope(path):
    """One file as an expression: its imports become constants, its exports the value."""
    text = path.read_text(encoding="utf-8")
    names = EXPORT.findall(text)
    body = EXPORT.sub("", IMPORT.sub(r"const \2 = file_\3;\n", text))
    return f"const file_{path.stem} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"


@cache
def _joined():
    text = "".join(map(_scope, sources()))
    # Comments and indentation are for people, who read the sources.
    return re.sub(r"^\s*(?://.*)?\n|^[ \t]+|[ \t]+// .*$", "", text, flags=re.M)


def module():
    """One ES module, whose default export is an anywidget; it also names its parts."""
    return (_joined() + "export const lcn = file_lcn, stage = file_stage, main = file_main;\n"
            "export const painting = file_painting, photograph = file_photograph;\n"
            "export default { render: file_main.render };\n")


def script():
    """One classic script, which brings the pictures of its page to life."""
    return f'(function () {{\n"use strict";\n{_joined()}file_main.start();\n}})();\n'
