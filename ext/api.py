"""The API reference: the library's docstrings as a page, linked with the chapters both ways.

The directive ``api-reference`` lists the names of ``lcnlib.__all__`` under the headings that stand
there as comments.  ``Book: thm-name`` in a docstring becomes a link to the statement, and
```lcn.name``` in prose a link to the entry.  Sphinx's autodoc, napoleon and viewcode do the rest.
"""

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.domains.python import PyObject
from sphinx.util.docutils import SphinxDirective

import lcnlib

LABEL = re.compile(r"\b(?:thm|prop|lem|cor|alg|def|rem|conj|ex)-[\w-]+")
SPAN = re.compile(r"(``.+?``|`[^`]+`|(?<!\w)\*\w+\*(?!\w)|^\* )")
NAME = re.compile(r"(lcn\.|lcnlib\.|)([A-Za-z_][\w.]*)(?:\(.*\))?")
BARE = "book/notation"  # the page whose tables leave out ``lcn.``


def groups():
    """(heading, names) as in ``lcnlib.__all__``, in its order."""
    listing = inspect.getsource(lcnlib).partition("__all__ = [")[2].partition("\n]")[0]
    parts = re.split(r"^ *# (.+)\n", listing, flags=re.M)
    return [(title, ast.literal_eval(f"[{names}]"))
            for title, names in zip(parts[1::2], parts[2::2])]


def entry(name):
    """The directive that documents one name."""
    value = getattr(lcnlib, name)
    if isinstance(value, ModuleType):
        return [f"### lcnlib.{name}", "```{eval-rst}", f".. automodule:: lcnlib.{name}",
                "   :members:", "```"]
    kind = ("function" if not inspect.isclass(value) else
            "exception" if issubclass(value, Exception) else "class")
    return ["```{eval-rst}", f".. auto{kind}:: lcnlib.{name}",
            *["   :members:"] * (kind == "class"), "```"]


class ApiReference(SphinxDirective):
    def run(self):
        for path in Path(lcnlib.__file__).parent.rglob("*.py"):
            self.env.note_dependency(str(path))
        lines = []
        for title, names in groups():
            lines += ["", f"## {title}", ""]
            # A module has a heading of its own, which no function may follow.
            for name in sorted(names, key=lambda n: isinstance(getattr(lcnlib, n), ModuleType)):
                lines += [*entry(name), ""]
        box = nodes.container()
        self.state.nested_parse(StringList(lines, source="api"), self.content_offset, box,
                                match_titles=True)
        return box.children


def prepare(app, what, name, obj, options, lines):
    """Make reStructuredText of a docstring: labels are links, and formulas mean what they say."""
    first, code = "", False  # line of this paragraph; whether an example has begun in it
    for i, line in enumerate(lines):
        first = line and (first or line.lstrip())
        code = bool(line) and (code or line.lstrip().startswith(">>>"))
        if first.startswith("Book:"):
            lines[i] = LABEL.sub(r":prf:ref:`\g<0>`", line)
        elif not code:
            parts = SPAN.split(line)  # code, stress and bullets stay
            parts[::2] = [re.sub(r"[\\*|]|_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
            lines[i] = "".join(parts)


def skip_aliases(app, what, name, obj, skip, options):
    # The fields of a named tuple, of which its docstring says more.
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def find(text, bare=False):
    """The whole name of the library's object that a piece of code in prose names, or None."""
    found = NAME.fullmatch(text)
    name = found[2] if found and (found[1] or bare) else ""
    head, *rest = name.split(".")
    value = getattr(lcnlib, head, None) if head in lcnlib.__all__ else None
    for part in rest:
        value = getattr(value, part, None)
    return None if value is None else f"lcnlib.{name}"


def link_names(app, doctree):
    for literal in list(doctree.findall(nodes.literal)):
        parent = literal.parent
        if isinstance(parent, (nodes.title, nodes.reference, addnodes.pending_xref)):
            continue
        if target := find(literal.astext(), app.env.docname == BARE):
            link = addnodes.pending_xref("", refdomain="py", reftype="obj", reftarget=target,
                                         refdoc=app.env.docname, refexplicit=True, refwarn=False)
            literal.replace_self(link)
            link += literal


def setup(app):
    fields = [f for f in PyObject.doc_field_types if f.name == "variable"]
    fields[0].label = "Attributes"  # what the docstrings call them; Sphinx says "Variables"
    for name in ("autodoc", "napoleon", "viewcode"):
        app.setup_extension(f"sphinx.ext.{name}")
    app.add_directive("api-reference", ApiReference)
    app.connect("autodoc-process-docstring", prepare, priority=400)  # napoleon has 500
    app.connect("autodoc-skip-member", skip_aliases)
    app.connect("doctree-read", link_names)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
