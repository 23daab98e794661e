"""Put the script of the pictures that a reader drags into the book, on the pages that hold one."""

from pathlib import Path

from lcnlib.display import modules

NAME = "explorables.js"


def write(app):
    if app.builder.format == "html":
        static = Path(app.outdir, "_static")
        static.mkdir(parents=True, exist_ok=True)
        (static / NAME).write_text(modules.script(), encoding="utf-8")


def load(app, pagename, templatename, context, doctree):
    if 'data-picture="' in context.get("body", ""):
        app.add_js_file(NAME, loading_method="defer")


def setup(app):
    app.connect("builder-inited", write)
    app.connect("html-page-context", load)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
