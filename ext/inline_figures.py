"""Put the figures of code cells into the page as themed ``<svg>`` elements.

An ``<img>`` cannot follow the page's colours; an element of the page can.  Also tells the
notebooks, by an environment variable, that their widgets will have no kernel.
"""

import os
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

from lcnlib.display import themed_svg

logger = logging.getLogger(__name__)


def inline_svg(app, doctree, docname):
    if app.builder.format != "html":
        return
    for count, image in enumerate(list(doctree.findall(nodes.image))):
        path = Path(app.srcdir, image["uri"])
        if path.suffix != ".svg" or "jupyter_execute" not in path.parts:
            continue
        alt = image.get("alt", "")
        if not alt or alt.endswith(".svg"):
            logger.warning("a figure has no alt text: give its code cell the metadata "
                           "mystnb: {image: {alt: ...}}", location=image)
        svg = themed_svg(path.read_text(encoding="utf-8"), alt, uid=str(count))
        image.replace_self(nodes.raw("", svg, format="html"))


def setup(app):
    os.environ.setdefault("LCN_BOOK_STATIC", "1")
    app.connect("doctree-resolved", inline_svg)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
