"""Pictures that the reader drags: `touch`, alive in the page, in JupyterLab, and on paper."""

import dataclasses
import html
import io
import itertools
import json
import os
from numbers import Real

from . import modules
from .figures import themed_svg
from .frames import svg
from .pictures import PICTURES
from .widgets import Page, words_below

__all__ = ["touch"]

_numbers = itertools.count(1)  # of the pictures of this page, whose notebook has one kernel


def touch(name, caption=None, **state):
    """A picture whose points the reader drags, with and without a kernel.

    In JupyterLab, VS Code or Colab it is a widget, whose attributes are what the reader has
    dragged::

        plane = touch("plane", start=[1.5, 0.5])
        plane                # drag in it, then, in a later cell
        plane.start

    In the built book (environment variable ``LCN_BOOK_STATIC``), and where anywidget is missing,
    it is a drawn figure, which the script of the page replaces by the same picture to drag.

    Parameters
    ----------
    name : str
        One of the pictures, such as "plane".
    caption : str, optional
        What to try, plain text.
    **state
        Where it starts, by the names of the picture's state; the others have defaults.

    Returns
    -------
    anywidget.AnyWidget or Page
        To be the last line of a cell.
    """
    if name not in PICTURES:
        raise ValueError(f"name: expected one of {sorted(PICTURES)}, got {name!r}")
    given = _checked(name, state)
    if os.environ.get("LCN_BOOK_STATIC"):
        return _page(name, given, caption)
    try:
        import anywidget  # noqa: F401
    except ImportError:
        page = _page(name, given, caption)
        return dataclasses.replace(page, html=f"{page.html}<script>{modules.script()}</script>")
    return _widget(name, given, caption)


def _checked(name, state):
    """The whole state as JSON knows it, in floats, bools and nested lists of floats."""
    given = dict(PICTURES[name].defaults)
    for key, value in state.items():
        if key not in given:
            raise ValueError(f"{key}: expected one of {list(given)} for {name!r}, got {key!r}")
        like = given[key]
        value = value.tolist() if hasattr(value, "tolist") else value
        if _kind(value) != _kind(like):
            raise ValueError(f"{key}: expected something like {like!r}, got {value!r}")
        given[key] = value
    return given


def _kind(value):
    if isinstance(value, (list, tuple)):
        return [_kind(x) for x in value]
    return "number" if isinstance(value, Real) and not isinstance(value, bool) else type(value)


def _page(name, state, caption):
    picture = PICTURES[name]
    count = next(_numbers)
    still, alt = io.BytesIO(), picture.alt(**state)
    drawn = themed_svg(svg(picture.draw(**state), False, {}, still), alt, f"{count}")
    legend = words_below(caption)
    data = html.escape(json.dumps(state))
    return Page(f'<figure class="lcn-touching"><div class="lcn-touch" id="{name}-{count}" '
                f'data-picture="{name}" data-state="{data}">{drawn}</div>{legend}</figure>',
                still.getvalue(), alt, caption)


def _widget(name, state, caption):
    import anywidget
    import traitlets

    def trait(value):
        if isinstance(value, (list, tuple)):
            return traitlets.List(list(value))
        if isinstance(value, str):
            return traitlets.Unicode(value)
        return traitlets.Bool(value) if isinstance(value, bool) else traitlets.Float(value)

    traits = {key: trait(value).tag(sync=True) for key, value in state.items()}
    for key, text in ("picture", name), ("caption", caption or ""):
        traits[key] = traitlets.Unicode(text, read_only=True).tag(sync=True)
    return type(name.capitalize(), (anywidget.AnyWidget,), {"_esm": modules.module()} | traits)()
