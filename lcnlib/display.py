"""Figures and widgets of the book: `use_style` and `explore`.

Nothing else in the project knows ipywidgets.  This module needs matplotlib, and `explore` needs
ipywidgets (the extra ``book``); ``import lcnlib`` needs neither.
"""

import dataclasses
import html
import io
import itertools
import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real

from ._figures import COLORS, INK, PAPER, themed_svg, use_style

__all__ = ["COLORS", "INK", "PAPER", "Control", "explore", "themed_svg", "use_style"]


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

    def widget(self, live):
        """The ipywidget: one with a ``value`` if `live`, else one with an ``index``."""
        import ipywidgets as W

        common = {"description": self.label, "style": {"description_width": "initial"}}
        if live and self.numeric:
            low, high = min(self.values), max(self.values)
            common.update(value=self.values[self.start], min=low, max=high)
            if all(isinstance(v, Integral) for v in self.values):
                return W.IntSlider(**common)
            fmt = self.format if isinstance(self.format, str) else ".3g"
            return W.FloatSlider(step=(high - low) / 200, readout_format=fmt, **common)
        options = [(self.text(v), v if live else i) for i, v in enumerate(self.values)]
        common.update(options=options, value=options[self.start][1])
        if self.numeric:
            return W.SelectionSlider(**common)
        return (W.ToggleButtons if len(options) <= 4 else W.Dropdown)(**common)


def explore(draw, alt, caption=None, *, raster=False, **controls):
    """A picture with one to three handles, alive with and without a kernel.

    With a kernel the picture is drawn anew at every change.  In the built book (environment
    variable ``LCN_BOOK_STATIC``) the same call draws one frame for every combination of the
    controls' values, and the page steps through them.

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
    ipywidgets.VBox
        To be the last line of a cell.
    """
    import ipywidgets as W
    from ipywidgets.widgets.widget_string import HTMLStyle

    if not 1 <= len(controls) <= 3:
        raise ValueError(f"explore takes one to three controls, got {len(controls)}")
    controls = {k: c if isinstance(c, Control) else Control(*c) for k, c in controls.items()}
    live = not os.environ.get("LCN_BOOK_STATIC")
    handles = {name: control.widget(live) for name, control in controls.items()}

    def frame(values):
        words = alt(**values)
        tag = "-".join(map(str, values.values()))
        legend = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
        return f"<figure>{themed_svg(_svg(draw(**values), raster), words, tag)}{legend}</figure>"

    if live:
        picture = W.HTML()

        def refresh(_=None):
            picture.value = frame({name: handle.value for name, handle in handles.items()})

        for handle in handles.values():
            handle.observe(refresh, "value")
        refresh()
    else:
        shared = {"layout": W.Layout(), "style": HTMLStyle()}
        picture = _stacks(controls, handles, lambda v: W.HTML(frame(v), **shared))
    box = W.VBox([*handles.values(), picture])
    box.add_class("lcn-explore")
    return box


def _stacks(controls, handles, leaf, chosen=None):
    """Nested stacks of frames, one level for each control, linked to its handle in the page."""
    import ipywidgets as W

    chosen = chosen or {}
    name = next(itertools.islice(controls, len(chosen), None), None)
    if name is None:
        return leaf(chosen)
    stack = W.Stack([_stacks(controls, handles, leaf, {**chosen, name: value})
                     for value in controls[name].values], selected_index=controls[name].start)
    W.jslink((handles[name], "index"), (stack, "selected_index"))
    return stack


def _svg(fig, raster):
    """The SVG of a figure, which is closed."""
    import matplotlib.pyplot as plt

    if raster:
        for ax in fig.axes:
            for artist in (*ax.collections, *ax.images, *ax.lines):
                artist.set_rasterized(True)
    out = io.StringIO()
    fig.savefig(out, format="svg", dpi=110, metadata={"Date": None})
    plt.close(fig)
    return out.getvalue()
