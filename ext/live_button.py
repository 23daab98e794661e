"""The button "Run in browser" on every chapter, when JupyterLite is built beside the book.

``make live`` sets LCN_BOOK_LIVE and puts JupyterLite into the folder ``lite`` of the built book.
Without that variable pages stay as they are.
"""

import os


def address(pagename):
    """Where JupyterLite opens the chapter, relative to the chapter's page."""
    *folders, name = pagename.split("/")
    return f"{'../' * len(folders)}lite/notebooks/index.html?path={name}.ipynb"


def add_button(app, pagename, templatename, context, doctree):
    if doctree is None or not str(app.env.doc2path(pagename)).endswith(".ipynb"):
        return
    context["header_buttons"].insert(0, {
        "type": "link", "url": address(pagename), "text": "Run in browser", "label": "live-button",
        "icon": "fas fa-play", "tooltip": "Opens this chapter with a live Python, in a new tab"})


def setup(app):
    if os.environ.get("LCN_BOOK_LIVE"):
        # The theme makes its list of buttons at priority 501.
        app.connect("html-page-context", add_button, priority=502)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
