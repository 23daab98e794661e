"""Where we are in the story of the running example: a row of small pictures."""

import html

from .figures import ROLES

__all__ = ["STEPS", "strip"]

_1, _2, _T = ROLES["layer 1"], ROLES["layer 2"], ROLES["target"]
_POINT = '<circle cx="{}" cy="{}" r="3" fill="{}" stroke="none"/>'


def _line(path, color="currentColor", more=""):
    return f'<path d="{path}" stroke="{color}" {more}/>'


def _stems(heights, color, x=8, gap=8, base=34):
    return "".join(_line(f"M{x + gap * i} {base}v{-h}", color, 'stroke-width="4"')
                   for i, h in enumerate(heights))


_AXES = _line("M8 6V40H42", more='stroke-width="1"')
#: The steps in the order of the book: name, what happens to the example there, picture.
STEPS = {
    "polynomials": (
        "two filters are multiplied",
        _stems([14, 8, -8], _1, 5, 6, 18) + _stems([10, 10], _2, 33, 7, 18)
        + _stems([12, 6, 6, 6, -6], "currentColor", 8, 8, 42)),
    "function space": (
        "all products form a surface that crosses itself",
        _line("M6 38C18 34 24 26 24 8M42 38C30 34 24 26 24 8M6 38L20 44M42 38L30 44")
        + _line("M24 8V26", more='stroke-width="4"')),
    "flow": (
        "training conserves one number",
        _AXES + _line("M12 12C16 26 24 32 40 34") + _POINT.format(18, 25, _1)
        + _line("M18 25C22 30 26 32 30 32.5", _T, 'stroke-width="4"')),
    "kernel": (
        "a matrix carries training from weights to filters",
        "".join(f'<rect x="{8 + 11 * i}" y="{8 + 11 * j}" width="9" height="9" fill="currentColor"'
                f' stroke="none" opacity="{1 if i == j else 0.45 if abs(i - j) == 1 else 0.15}"/>'
                for i in range(3) for j in range(3))),
    "one kernel": (
        "a comb gives the filters back",
        _stems([26, 14, 14, 14, 6], "currentColor")
        + "".join(_POINT.format(8 + 16 * i, 41, _1) for i in range(3))
        + "".join(_POINT.format(16 + 16 * i, 41, _2) for i in range(2))),
    "metric": (
        "a ruler that changes from place to place",
        '<ellipse cx="17" cy="30" rx="11" ry="5" transform="rotate(-35 17 30)"/>'
        '<ellipse cx="33" cy="15" rx="9" ry="8"/>' + _POINT.format(17, 30, "currentColor")
        + _POINT.format(33, 15, "currentColor")),
    "Riemannian flow": (
        "the walk in function space is steepest descent",
        _line("M8 38C14 18 26 14 40 12", _1)
        + "".join(f'<circle cx="{x}" cy="{y}" r="3.4" fill="var(--paper, none)"/>'
                  for x, y in [(8, 38), (14.5, 24.5), (24.5, 16.5)]) + _POINT.format(40, 12, _T)),
    "closed form": (
        "the metric is made of spheres",
        '<ellipse cx="24" cy="12" rx="16" ry="5"/>' + _line("M8 12L24 42L40 12")
        + _line("M16 27C20 30 28 30 32 27")),
    "critical points": (
        "valleys and passes of the loss",
        _line("M4 12C10 44 18 44 22 26C25 14 29 14 32 30C35 44 40 44 44 8")
        + _POINT.format(14, 36.5, _T) + _POINT.format(27, 17, "currentColor")
        + _POINT.format(37, 39.5, _T)),
    "where it ends": (
        "the loss falls, and how fast",
        _AXES + _line("M10 10C14 32 22 36 42 37", _T, 'stroke-width="3"')),
}


class Strip:
    """A row of pictures, one of them lit."""

    def __init__(self, markup, words):
        self.markup, self.words = markup, words

    def _repr_html_(self):
        return self.markup

    def __repr__(self):
        return self.words


def strip(step):
    """The row "where we are" of the running example, to be the last line of a cell.

    Parameters
    ----------
    step : str
        One of the names in `STEPS`: "polynomials", "function space", "flow", "kernel",
        "one kernel", "metric", "Riemannian flow", "closed form", "critical points" or
        "where it ends".

    Returns
    -------
    Strip
        HTML with its own text alternative.
    """
    if step not in STEPS:
        raise ValueError(f"step: expected one of {list(STEPS)}, got {step!r}")
    place = list(STEPS).index(step)
    words = f"The running example, step {place + 1} of {len(STEPS)}: {STEPS[step][0]}."
    cells = "".join(
        f'<svg viewBox="0 0 48 48" aria-hidden="true" style="flex:0 1 48px;min-width:24px;'
        f'padding:2px;border-bottom:3px solid {"currentColor" if name == step else "transparent"};'
        f'opacity:{1 if name == step else 0.4}" fill="none" stroke="currentColor" '
        f'stroke-width="2" stroke-linecap="round">{picture}</svg>'
        for name, (_, picture) in STEPS.items())
    return Strip(
        f'<figure class="lcn-strip" style="margin:0;max-width:36rem"><div role="img" '
        f'aria-label="{html.escape(words)}" style="display:flex;gap:2px">{cells}</div>'
        f'<figcaption style="text-align:start">{html.escape(words)}</figcaption></figure>', words)
