"""`explore`: a picture with one to three handles, with and without a kernel.

Nothing else in the project but `controls` knows ipywidgets.  Drawing needs matplotlib, and
`explore` needs ipywidgets (the extra ``book``); ``import lcnlib`` needs neither.
"""

import dataclasses
import html
import io
import itertools
import os
import re
import types

from .controls import Control
from .figures import themed_svg
from .frames import svg

__all__ = ["explore"]


@dataclasses.dataclass(frozen=True)
class Page:
    """What `explore` returns for the built book: HTML that the book's script brings to life.

    Notebooks that are only looked at, on GitHub say, show `png`, what is seen first, a still.
    """

    html: str
    png: bytes
    alt: str
    caption: str | None = None

    def __repr__(self):
        return self.caption or self.alt

    def _repr_html_(self):
        return self.html

    def _repr_png_(self):
        width, height = (int.from_bytes(self.png[k:k + 4], "big") // 2 for k in (16, 20))
        return self.png, {"width": width, "height": height, "alt": self.alt}


def explore(draw, alt, caption=None, *, raster=False, **controls):
    """A picture with one to three handles, alive with and without a kernel.

    With a kernel the picture is drawn anew at every change, by the functions as they are at the
    call: what later cells do to the names in them changes nothing.  In the built book
    (environment variable ``LCN_BOOK_STATIC``) the same call draws one frame for every combination
    of the controls' values, and the page steps through them; it needs no ipywidgets.

    Parameters
    ----------
    draw : callable
        ``draw(**values)`` returns a matplotlib Figure.
    alt : callable
        ``alt(**values)`` says in words what that figure shows.
    caption : str, optional
        Caption, plain text.
    raster : bool
        Store the plotted data (not text and axes) as pixels, for figures with many points.
    **controls : Control or (label, values)
        The handles, by the names of the arguments of `draw` and `alt`.

    Returns
    -------
    ipywidgets.VBox or Page
        To be the last line of a cell.
    """
    if not 1 <= len(controls) <= 3:
        raise ValueError(f"explore takes one to three controls, got {len(controls)}")
    controls = {k: c if isinstance(c, Control) else Control(*c) for k, c in controls.items()}
    legend = words_below(caption)

    places = {}

    def frame(values, still=None):
        tag = "-".join(map(str, values.values()))
        return themed_svg(svg(draw(**values), raster, places, still), alt(**values), tag)

    if os.environ.get("LCN_BOOK_STATIC"):
        still = io.BytesIO()
        made = _page(frame, legend, controls, still)
        first = {k: c.values[c.start] for k, c in controls.items()}
        return Page(made, still.getvalue(), alt(**first), caption)
    import ipywidgets as W

    draw, alt = _kept(draw), _kept(alt)
    handles = {name: control.widget() for name, control in controls.items()}
    picture = W.HTML()

    def refresh(_=None):
        values = {name: handle.value for name, handle in handles.items()}
        picture.value = f"<figure>{frame(values)}{legend}</figure>"

    for handle in handles.values():
        handle.observe(refresh, "value")
    refresh()
    box = W.VBox([*handles.values(), picture])
    box.add_class("lcn-explore")
    return box


def words_below(caption):
    """The caption as an element, in which no line ends within "δ = 3"."""
    if not caption:
        return ""
    held = re.sub(" ([=<>≈]) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", caption)
    return f"<figcaption>{html.escape(held)}</figcaption>"


def _kept(f):
    """The function as it is now, with those it calls: later cells may use its names anew."""
    if not isinstance(f, types.FunctionType):
        return f
    names = {}

    def copy(g):
        made = types.FunctionType(g.__code__, names, g.__name__, g.__defaults__, g.__closure__)
        made.__kwdefaults__ = g.__kwdefaults__
        return made

    for name, value in f.__globals__.items():
        own = isinstance(value, types.FunctionType) and value.__globals__ is f.__globals__
        names[name] = copy(value) if own else value
    return copy(f)


def _page(frame, legend, controls, still):
    """The controls, the frame seen first, and the other combinations' frames as inert data.

    The first one is written to `still`, too.
    """
    name = f"lcn-{next(_numbers)}"
    first, others = "", []
    for indices in itertools.product(*(range(len(c.values)) for c in controls.values())):
        start = indices == tuple(c.start for c in controls.values())
        made = frame({k: c.values[i] for (k, c), i in zip(controls.items(), indices)},
                     still if start else None)
        key = "-".join(map(str, indices))
        if start:
            first = f'<div class="lcn-frame" data-frame="{key}">{made}</div>'
        else:  # what is no element of the page does not slow it down
            others.append(f'<script type="image/svg+xml" data-frame="{key}">{made}</script>')
    handles = "".join(c.element(f"{name}-{k}") for k, c in controls.items())
    return (f'<div class="lcn-explore">{handles}<figure>{first}{legend}</figure>'
            f'{"".join(others)}<div class="lcn-live" aria-live="polite"></div></div>')


_numbers = itertools.count(1)  # of the widgets of this page, whose notebook has one kernel
