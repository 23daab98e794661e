"""The pictures of `touch` as they are drawn on paper and read aloud, one class each."""

import dataclasses
from collections.abc import Callable

import numpy as np

import lcnlib as lcn

from .drawing import ellipse, surface_of_revolution
from .figures import INK, ROLES, look

__all__ = ["PICTURES", "Picture"]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture in `explorables/`: its first state, a drawing of it and its text alternative."""

    defaults: dict
    draw: Callable
    alt: Callable


def _figure(width=7.2, height=3.8):
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height))


def _vector(v, digits=2):
    return f"({', '.join(f'{x:.{digits}f}' for x in v)})".replace("-", "−")


# ---- plane

PLANE = lcn.LCN((2, 1))


def _run(start, target, delta, time):
    w = lcn.lift(PLANE, start, [delta])
    return lcn.gradient_flow(PLANE, lcn.QuadraticLoss(target), w, np.linspace(0, time, 61))


def draw_plane(start, target, delta, time, rulers):
    fig = _figure()
    ax = fig.add_subplot(1, 2, 1)
    for d in (-3.0, 0.0, 3.0):
        ax.plot(*_run(start, target, d, 6.0).end_to_end.T, **look(d), lw=1.5,
                label=f"δ = {d:g}".replace("-", "−"))
    flow = _run(start, target, delta, max(time, 1e-9))
    v, w = flow.end_to_end[-1], [x[-1] for x in flow.filters]
    ax.plot(*flow.end_to_end.T, color=look(delta)["color"], lw=4)
    ax.plot(*ellipse(lcn.ntk(PLANE, w), v, 0.2).T, color=INK)
    ax.plot(*start, "o", color=INK, ms=9)
    ax.plot(*target, "*", color=ROLES["target"], ms=17)
    ax.set(xlim=(-2, 3), ylim=(-1.6, 2.4), aspect="equal", xlabel="$v_0$", ylabel="$v_1$",
           title="outside: the filter")
    ax.legend(loc="upper right")
    space = fig.add_subplot(1, 2, 2, projection="3d", computed_zorder=False)
    surface_of_revolution(space, delta, 2.6)
    path = np.hstack(_run(start, target, delta, 6.0).filters)
    space.plot(*path.T, lw=1.5, **look(delta))
    space.plot(*np.hstack(flow.filters).T, color=look(delta)["color"], lw=4)
    space.set_axis_off()
    space.set_title("inside: three weights", y=1.04)
    space.set_box_aspect((1, 1, 1), zoom=1.12)
    space.view_init(30, 218)
    return fig


def alt_plane(start, target, delta, time, rulers):
    flow = _run(start, target, delta, max(time, 1e-9))
    v = flow.end_to_end[-1]
    return (f"A plane of filters with three ways from {_vector(start)} to the target "
            f"{_vector(target)}, for δ = −3, 0 and 3, and beside it the surface on which the "
            f"weights move for δ = {delta:g}. At time {time:.2f} the filter is at "
            f"{_vector(v, 3)}, and the loss is {flow.loss[-1]:.3f}; the ellipse around it is the "
            "image of a small disc on the surface.")


PICTURES = {
    "plane": Picture({"start": [2.2, -0.5], "target": [-0.7, 1.4], "delta": -3.0, "time": 0.4,
                      "rulers": False}, draw_plane, alt_plane),
}
