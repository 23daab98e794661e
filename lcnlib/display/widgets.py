"""Figures and widgets of the book: `use_style`, `bare_axes` and `explore`.

Nothing else in the project knows ipywidgets.  This module needs matplotlib, and `explore` needs
ipywidgets (the extra ``book``); ``import lcnlib`` needs neither.
"""

import dataclasses
import html
import io
import itertools
import json
import os
import re
import types
from collections.abc import Callable, Sequence
from numbers import Integral, Real

from .figures import COLORS, INK, PAPER, ROLES, bare_axes, look, themed_svg, use_style

__all__ = ["COLORS", "INK", "PAPER", "ROLES", "Control", "bare_axes", "explore", "look",
           "themed_svg", "use_style"]


@dataclasses.dataclass(frozen=True)
class Control:
    """One handle of `explore`.

    Parameters
    ----------
    label : str
        Its name, as the reader sees and hears it.
    values : sequence
        The values of the precomputed frames.  Numbers make a slider (with a kernel: continuous
        between the least and the largest, in whole steps when all are integers); anything else
        makes buttons or a menu.
    initial : object, optional
        The value to start with, one of `values`; the first one by default.
    format : str or callable, optional
        Format specification, or function from a value to the text shown beside the handle.
    """

    label: str
    values: Sequence
    initial: object = None
    format: str | Callable | None = None

    def __post_init__(self):
        object.__setattr__(self, "values", list(self.values))
        if len(self.values) < 2:
            raise ValueError(f"control {self.label!r} needs at least two values, got {self.values}")
        if self.initial is not None and self.initial not in self.values:
            raise ValueError(f"control {self.label!r}: initial must be one of its values "
                             f"{self.values}, got {self.initial!r}")

    @property
    def start(self):
        """Index of the initial value."""
        return 0 if self.initial is None else self.values.index(self.initial)

    @property
    def numeric(self):
        """Whether the control is a slider."""
        return all(isinstance(v, Real) and not isinstance(v, bool) for v in self.values)

    def text(self, value):
        """The text that shows `value`."""
        if callable(self.format):
            return self.format(value)
        text = format(value, self.format or ("g" if self.numeric else ""))
        return text.replace("-", "\N{MINUS SIGN}") if self.numeric else text

    def widget(self):
        """The ipywidget, whose ``value`` is a value of the control."""
        import ipywidgets as W

        common = {"description": self.label, "style": {"description_width": "initial"}}
        if self.numeric:
            low, high = min(self.values), max(self.values)
            common.update(value=self.values[self.start], min=low, max=high)
            if all(isinstance(v, Integral) for v in self.values):
                return W.IntSlider(**common)
            fmt = self.format if isinstance(self.format, str) else ".3g"
            return W.FloatSlider(step=(high - low) / 200, readout_format=fmt, **common)
        options = [(self.text(v), v) for v in self.values]
        common.update(options=options, value=self.values[self.start])
        return (W.ToggleButtons if len(options) <= 4 else W.Dropdown)(**common)

    def element(self, name):
        """The HTML of the control, whose value is the index of a value; `name` is its id."""
        label, texts = html.escape(self.label), [html.escape(self.text(v)) for v in self.values]
        if self.numeric:
            return (
                f'<div class="lcn-control"><label for="{name}">{label}</label>'
                f'<input type="range" id="{name}" min="0" max="{len(texts) - 1}" '
                f'value="{self.start}" aria-valuetext="{texts[self.start]}" '
                f'data-texts="{html.escape(json.dumps([self.text(v) for v in self.values]))}" '
                f'autocomplete="off"><span aria-hidden="true">{texts[self.start]}</span></div>')
        if len(texts) <= 4:
            choices = "".join(
                f'<label><input type="radio" name="{name}" value="{i}" autocomplete="off"'
                f'{" checked" * (i == self.start)}>{text}</label>' for i, text in enumerate(texts))
            return (f'<fieldset class="lcn-control"><legend><span>{label}</span></legend>'
                    f'{choices}</fieldset>')
        choices = "".join(f'<option value="{i}"{" selected" * (i == self.start)}>{text}</option>'
                          for i, text in enumerate(texts))
        return (f'<div class="lcn-control"><label for="{name}">{label}</label>'
                f'<select id="{name}" autocomplete="off">{choices}</select></div>')


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
    legend = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""

    places = {}

    def frame(values, still=None):
        tag = "-".join(map(str, values.values()))
        return themed_svg(_svg(draw(**values), raster, places, still), alt(**values), tag)

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


def _svg(fig, raster, places, still=None):
    """The SVG of a figure, which is closed; also a PNG, written to the file `still`."""
    import matplotlib.pyplot as plt

    if raster:
        for ax in fig.axes:
            for artist in (*ax.collections, *ax.images, *ax.lines):
                artist.set_rasterized(True)
    _arrange(fig, places)
    out = io.StringIO()
    # After a save, matplotlib gives a figure without a layout the one of the style.
    with plt.rc_context({"figure.constrained_layout.use": False}):
        fig.savefig(out, format="svg", dpi=110, metadata={"Date": None})
        if still is not None:  # twice as fine as it is shown
            fig.savefig(still, format="png", dpi=144)
    plt.close(fig)
    return out.getvalue()


def _arrange(fig, places):
    """Lay the figure out once; savefig would draw all of it once more for that.

    `places` remembers where the axes of earlier figures came to lie that had as many lines in
    titles and labels, and the same writing elsewhere but for the digits of numbers.
    """
    import matplotlib.pyplot as plt

    if not (layout := fig.get_layout_engine()):
        return
    words = []
    for ax in fig.axes:
        words.append([t.get_text().count("\n") + bool(t.get_text())
                      for t in (ax.title, ax.xaxis.label, ax.yaxis.label)])
        if ax.name != "3d":  # there, labels have no place before they are drawn
            words.append([t.get_text() for t in (*ax.get_xticklabels(), *ax.get_yticklabels())])
    words.append([t.get_text() for box in fig.legends for t in box.get_texts()])
    key = (tuple(fig.get_size_inches()), re.sub(r"\d", "0", str(words)))
    if key not in places:
        layout.execute(fig)
        places[key] = [ax.get_position(original=True) for ax in fig.axes]
    with plt.rc_context({"figure.constrained_layout.use": False}):
        fig.set_layout_engine(None)
    for ax, place in zip(fig.axes, places[key]):
        ax.set_position(place)
