"""The directive ``statement-table``: every numbered statement, by tools/statements.py."""

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import statements

SHORT = [("paper", r"paper"), ("known", r"known|classical|elementary"), ("this book", r"this book")]


def origin(provenance):
    """The provenance in a word or two."""
    return ", ".join(name for name, pattern in SHORT if re.search(pattern, provenance)) or "?"


def row(s):
    functions = ", ".join(f"`lcn.{f}`" for f in s.functions)
    exercises = ", ".join(f"{{ref}}`{e}`" for e in s.exercises)
    checks = ["on the page"] * s.checked + [f"`{t}`" for t in s.tests[:2]]
    return (f"| {{prf:ref}}`{s.label}` {s.title} | {origin(s.provenance)} | {functions} "
            f"| {', '.join(checks)} | {exercises} |")


class StatementTable(SphinxDirective):
    def run(self):
        self.env.note_reread()  # it depends on all chapters
        box = nodes.container()
        titles, lines, last = dict(statements.titles()), [], None
        for s in statements.statements():
            if s.page != last:
                lines += ["", f"## {titles[s.page]}", "",
                          "| statement | from | functions | checked | exercises |",
                          "| --- | --- | --- | --- | --- |"]
                last = s.page
            lines.append(row(s))
        self.state.nested_parse(StringList(lines, source="statements"), self.content_offset, box,
                                match_titles=True)
        return box.children


def setup(app):
    app.add_directive("statement-table", StatementTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
