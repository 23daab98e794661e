"""Pictures of the metric, as `touch` draws them for paper: geodesics."""

import numpy as np

import lcnlib as lcn

from .drawing import ellipse, surface_of_revolution
from .drawn_flows import PLANE, above, figure, number, vector
from .figures import INK, PAPER, ROLES, look

__all__ = ["alt_geodesics", "draw_geodesics"]

LONG = 3.0


def shoot(start, velocity, delta):
    """Filters along the geodesic, up to where it runs into zero, and the parameter there."""
    w = above(start, delta)
    try:
        end = None
        lcn.geodesic(PLANE, w, velocity, LONG)
    except lcn.FlowError as error:  # it reaches zero: draw up to there
        end = error.time
    s = np.linspace(0, LONG if end is None else 0.999 * end, 91)
    return lcn.geodesic_filters(PLANE, w, velocity, s), end


def draw_geodesics(start, tip, delta, fan, view):
    start, a = np.array(start), np.subtract(tip, start)
    w = above(start, delta)
    kernel = lcn.ntk(PLANE, w)
    shots = [(a, {"color": look(delta)["color"], "lw": 4})]
    if fan:
        size = lcn.inner(PLANE, w, a, a) ** 0.5
        shots += [(b, {"color": ROLES["metric"], "lw": 1.2})
                  for b in ellipse(kernel, size=size, n=25)[1:]]
    fig = figure()
    ax = fig.add_subplot(1, 2, 1)
    space = fig.add_subplot(1, 2, 2, projection="3d", computed_zorder=False)
    surface_of_revolution(space, delta, 2.6)
    for b, style in shots[::-1]:
        path, _ = shoot(start, b, delta)
        ax.plot(*lcn.end_to_end(PLANE, path).T, **style)
        space.plot(*np.hstack(path).T, **style)
    ax.plot(*np.stack([start, start + LONG * a]).T, ":", color=INK, lw=1)
    ax.annotate("", tip, start, arrowprops={"color": ROLES["target"], "arrowstyle": "->", "lw": 3})
    ax.plot(*ellipse(kernel, start, 0.2).T, color=INK, lw=1.5)
    ax.plot(*start, "o", color=INK, ms=9)
    ax.plot(0, 0, "o", mec=INK, mfc=PAPER)
    ax.set(xlim=(-2.5, 2.5), ylim=(-2, 2), aspect="equal", xlabel="$v_0$", ylabel="$v_1$",
           title="seen from above")
    space.set_axis_off()
    space.set_title("in space", y=1.04)
    space.set_box_aspect((1, 1, 1), zoom=1.12)
    space.view_init(*view[::-1])
    return fig


def alt_geodesics(start, tip, delta, fan, view):
    a = np.subtract(tip, start)
    path, end = shoot(start, a, delta)
    speed = lcn.inner(PLANE, above(start, delta), a, a) ** 0.5
    went = f"ends at {vector(lcn.end_to_end(PLANE, path)[-1])}" if end is None else "runs into zero"
    name = "funnel" if delta < 0 else "bowl" if delta > 0 else "cone"
    return (f"A geodesic for δ = {number(delta, 1)}, in the plane of filters and on a {name}. "
            f"From {vector(start)} with velocity {vector(a)}, of length {number(speed, 3)} in the "
            f"metric, it {went}; a dotted line shows how a straight one would go.")
