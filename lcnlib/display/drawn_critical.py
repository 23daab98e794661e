"""Pictures of critical points, as `touch` draws them for paper: the basins."""

from functools import cache

import numpy as np

import lcnlib as lcn

from .drawn_flows import figure, number, vector
from .figures import COLORS, INK, PAPER, look

__all__ = ["alt_basins", "draw_basins"]

NET = lcn.LCN((2, 2), 2)
WAYS = (-3.0, 0.0, 3.0)
WEIGHT = np.array([[0.5, 0.3, 0.4, -0.4], [0.3, 1.0, -0.1, -0.1], [0.4, -0.1, 0.6, -0.5],
                   [-0.4, -0.1, -0.5, 0.5]])


def basins_loss(target):
    return lcn.QuadraticLoss([target[0], 0.0, 1.0, target[1]], WEIGHT)


def begin(loss, directions, size, delta):
    """Filters with these directions, in degrees, whose product points downhill."""
    w = [np.stack([np.cos(a), np.sin(a)], -1) for a in np.radians(directions)]
    down = -np.sign(lcn.end_to_end(NET, w) @ loss.gradient(np.zeros(4)))
    w[0] = w[0] * size * np.expand_dims(down, -1)
    return lcn.rescale(NET, w, np.full((*np.shape(down), 1), delta))


@cache
def _real(target):
    """Filters, losses and indices of the real critical points."""
    loss = basins_loss(target)
    c = lcn.critical_points(NET, loss)
    return [w[c.real].real for w in c.filters], c.loss[c.real].real, c.index[c.real]


def _degrees(w):
    return np.degrees(np.arctan2(w[..., 1], w[..., 0])) % 180


def ends(target, directions, size, delta):
    """Which minimum each flow ends in, and the flow."""
    loss, (w, _, index) = basins_loss(target), _real(tuple(target))
    minima = lcn.end_to_end(NET, w)[index == 0]
    flow = lcn.gradient_flow(NET, loss, begin(loss, directions, size, delta),
                             np.r_[0, np.geomspace(1e-2, 60, 40)], rtol=1e-3, atol=1e-5)
    gaps = np.linalg.norm(flow.end_to_end[-1][..., None, :] - minima, axis=-1)
    return gaps.argmin(axis=-1), flow


def draw_basins(target, start, size, n=14):
    w, _, index = _real(tuple(target))
    fig = figure(7.2, 2.8)
    middle = 180 * (np.arange(n) + 0.5) / n
    grid = np.stack(np.meshgrid(middle, middle)).reshape(2, -1)
    for k, delta in enumerate(WAYS):
        ax = fig.add_subplot(1, 3, k + 1)
        table = ends(target, grid, size, delta)[0].reshape(n, n)
        for valley in range((index == 0).sum()):
            ax.pcolormesh(middle, middle, np.where(table == valley, 1.0, np.nan), cmap="gray",
                          vmin=0, vmax=2, alpha=(0.04, 0.3, 0.55)[valley])
        path = np.stack([_degrees(x) for x in ends(target, start, size, delta)[1].filters])
        jump = (np.abs(np.diff(path, prepend=path[:, :1])) > 90).any(axis=0)
        ax.plot(*np.where(jump, np.nan, path), **look(delta), lw=3)
        ax.plot(*start, "o", color=INK, ms=9)
        for i in (0, 1):
            ax.plot(*(_degrees(x[index == i]) for x in w), "o", mec=INK, ms=7,
                    mfc=PAPER if i else INK)
        for i, place in enumerate(zip(*(_degrees(x[index == 0]) for x in w))):
            ax.annotate(f"{i + 1}", place, (6, 5), textcoords="offset points")
        ax.set(xlim=(0, 180), ylim=(0, 180), xticks=[0, 90, 180], yticks=[0, 90, 180],
               aspect="equal", xlabel="$w_1$ in degrees", title=f"$\\delta = {delta:g}$")
        ax.spines[:].set_color(COLORS["grey"])
    fig.axes[0].set_ylabel("$w_2$ in degrees")
    return fig


def alt_basins(target, start, size):
    _, heights, index = _real(tuple(target))
    low, high = (", ".join(number(x, 3) for x in heights[index == i]) for i in (0, 1))
    found = [int(ends(target, start, size, delta)[0]) + 1 for delta in WAYS]
    return (f"Three squares of directions of the two filters, for δ = −3, 0 and 3, shaded by the "
            f"valley in which the flow from there ends. For the target "
            f"{vector(basins_loss(target).target)} there are {len(index)} real critical points, "
            f"minima with loss {low} and saddles with loss {high}. The marked start, with "
            f"directions {start[0]:g} and {start[1]:g} degrees, ends in "
            f"the valleys {found[0]}, {found[1]} and {found[2]}.")
