"""Repairs of what the theme and the Sphinx extensions leave broken."""

from docutils import nodes
from myst_nb.core import render
from myst_nb.core.utils import coalesce_streams
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput, visit_HideCellInput
from sphinx import addnodes


def merge_singlehtml_handlers(app, config):
    # sphinx-exercise registers its nodes for "singlehtml", which switches off
    # Sphinx's fall-back to the "html" handlers that sphinx-proof relies on.
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = {**handlers.get("html", {}), **handlers.get("singlehtml", {})}


def drop_thebe(app, pagename, templatename, context, doctree):
    # Jupyter Book loads sphinx-thebe in any case; unused, it only declares one constant twice
    # (a page error) and sets up a library from another host.
    def is_thebe(script):
        attributes = getattr(script, "attributes", {})
        return "THEBE" in (attributes.get("body") or "") or "thebe" in str(script.filename or "")

    context["script_files"] = [s for s in context.get("script_files", []) if not is_thebe(s)]


def set_default_mode(app, pagename, templatename, context, doctree):
    # The theme's script logs an error when the theme does not say which mode to start with.
    context["default_mode"] = context.get("default_mode") or "auto"


def visit_citation(self, node):
    # The role that docutils gives the entries of its list is deprecated, and no list item.
    type(self).visit_citation(self, node)
    self.body[-1] = self.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def depart_citation(self, node):
    type(self).depart_citation(self, node)


def visit_hidden_cell(self, node):
    # The label contradicts the words that are seen in the same place.
    visit_HideCellInput(self, node)
    self.body[-4] = self.body[-4].replace(' aria-label="Toggle hidden content"', "")


def fold_proofs(app, doctree):
    # sphinx-proof gives proofs no title, where a fold has its button, but all of them one id.
    for proof in doctree.findall(nodes.admonition):
        if "proof" not in proof["classes"]:
            continue
        proof["ids"].clear()
        first = proof.next_node(nodes.Text)
        if "dropdown" in proof["classes"] and first.startswith("Proof."):
            first.parent.replace(first, nodes.Text(first.removeprefix("Proof.").lstrip()))
            proof.insert(0, nodes.title("", "Proof"))


SAME = {"proof-content", "exercise-content", "solution-content"}


def drop_repeated_ids(app, doctree, docname):
    # sphinx-proof and sphinx-exercise give the content of every statement the same id.
    for node in doctree.findall(nodes.section):
        if SAME & set(node["ids"]):
            node["ids"] = [i for i in node["ids"] if i not in SAME]


def lead_to_index(app, doctree):
    # The index has no source, and the table of contents knows sources and addresses only.
    for toctree in doctree.findall(addnodes.toctree):
        toctree["entries"] = [(title, ref.removeprefix("book://"))
                              for title, ref in toctree["entries"]]


def title_once(app, pagename, templatename, context, doctree):
    # The landing page is called as the book is.
    if pagename == app.config.root_doc:
        context["docstitle"] = ""


def whole_lines(outputs):
    # MyST-NB ends a line wherever the kernel happened to send what was printed so far.
    joined = {}
    for output in outputs:
        if output["output_type"] == "stream":
            first = joined.setdefault(output["name"], output)
            if first is not output:
                first["text"] += output["text"]
                output["text"] = ""
    return coalesce_streams(outputs)


def setup(app):
    render.coalesce_streams = whole_lines
    app.add_node(nodes.citation, override=True, html=(visit_citation, depart_citation))
    app.add_node(HideCodeCellNode, override=True, html=(visit_hidden_cell, depart_HideCellInput))
    app.connect("doctree-read", fold_proofs)
    app.connect("doctree-read", lead_to_index, priority=200)  # it is filled at 100, read at 500
    app.connect("doctree-resolved", drop_repeated_ids)
    app.connect("html-page-context", set_default_mode)
    app.connect("html-page-context", title_once)
    app.connect("config-inited", merge_singlehtml_handlers)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
