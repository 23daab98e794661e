"""What the figures of the chapters show, asserted on what Matplotlib has drawn.

`conftest.py` calls `check` in each figure's cell, in the one execution that strict nbval makes of a
chapter, before the figure is shown.  Each check says the sign, the order and a value that caption
and alt text speak of.  Then the figure is turned upside down, and the check has to notice.
"""

from itertools import pairwise

import numpy as np

import lcnlib as lcn

CHECKS = {}
# Figures without a check, each with its reason.
WITHOUT = {
    "fig-08-curves": "two chosen curves, no computed data",
}


def figure(name, mirror="y"):
    """Registers the check of a figure; `mirror`: what is negated to see that it notices."""
    def keep(function):
        CHECKS[name] = function, mirror
        return function
    return keep


def check(name, fig, names):
    function, mirror = CHECKS[name]
    function(fig, names)
    undo = turned(fig, mirror)
    try:
        function(fig, names)
    except (AssertionError, IndexError):  # as it should be
        return
    finally:
        for restore in undo:
            restore()
    raise AssertionError(f"{name}: the check does not notice when the picture is upside down")


def turned(fig, mirror):
    """Negates what is drawn; returns functions that undo it."""
    undo = []

    def change(setter, old, new):
        setter(new)
        undo.append(lambda: setter(old))

    for ax in fig.axes:
        for line in ax.lines:
            if hasattr(line, "get_data_3d"):
                x, y, z = map(np.asarray, line.get_data_3d())
                change(lambda d, line=line: line.set_data_3d(*d), (x, y, z), (x, y, -z))
            elif mirror == "y":
                y = np.asarray(line.get_ydata(), dtype=float)
                change(line.set_ydata, y, -y)
            else:
                x = np.asarray(line.get_xdata(), dtype=float)
                change(line.set_xdata, x, -x)
        for image in ax.images:
            a = np.asarray(image.get_array(), dtype=float)
            change(image.set_data, a, -a)
        for patch in ax.patches:
            if hasattr(patch, "set_height"):
                change(patch.set_height, patch.get_height(), -patch.get_height())
        for text in ax.texts:
            if hasattr(text, "xyann"):
                change(lambda xy, text=text: setattr(text, "xy", xy), text.xy,
                       tuple(-np.asarray(text.xy)))
        for part in ax.collections:
            if hasattr(part, "_faces"):
                change(lambda v, part=part: setattr(part, "_faces", v), part._faces,
                       part._faces * [1, 1, -1])
            if hasattr(part, "_segments3d"):
                old = [np.asarray(line) for line in part._segments3d]
                change(part.set_segments, old, [line * [1, 1, -1] for line in old])
    return undo


def curves(ax):
    """The drawn lines as arrays (2, n), or (3, n) in space."""
    return [np.asarray(line.get_data_3d() if hasattr(line, "get_data_3d") else line.get_data(),
                       dtype=float) for line in ax.lines]


def near(got, want, digits=2):
    assert np.all(np.abs(np.asarray(got) - want) <= 0.51 * 10.0**-digits), (got, want)


def images(fig):
    return [np.asarray(ax.images[0].get_array(), dtype=float) for ax in fig.axes if ax.images]


def ends(curve, start, end, digits=2):
    near(curve[:, 0], start, digits)
    near(curve[:, -1], end, digits)


def lies_on(dots, curve, within):
    gap = np.linalg.norm(dots[:, :, None] - curve[:, None], axis=0).min(axis=1)
    assert gap.max() < within


def slope(x, y):
    return np.polyfit(np.log(x), np.log(y), 1)[0]


@figure("fig-01-wiring")
def _(fig, names):
    lines = curves(fig.axes[0])
    assert len(lines) == 8
    for _, y in lines:
        assert y[1] == y[0] + 1 and y[0] >= 0
    assert [list(x) for x, y in lines if y[0] == 1] == [[1, 2], [3, 2]]


@figure("fig-01-sobel")
def _(fig, names):
    disc, edges = images(fig)
    middle = edges[len(edges) // 2]
    assert middle.argmax() < middle.argmin() and middle.max() > 1 > -1 > middle.min()
    assert disc.min() >= 0 and disc[len(disc) // 2, len(disc) // 2] > 0.99
    near(edges, -edges[:, ::-1], 6)  # nothing on the middle column: top and bottom are white


def corners(ax):
    """The corners of the surfaces in space that are drawn as patches, shape (3, n)."""
    return np.concatenate([np.asarray(part._faces).reshape(-1, 3) for part in ax.collections
                           if hasattr(part, "_faces")]).T


@figure("fig-02-opening")
def _(fig, names):
    x, y, z = corners(fig.axes[0])
    near(x**2 + y**2, z**2, 9)
    v1, v3, v0 = corners(fig.axes[1])
    assert (v0 <= 0).all() and len(v0) > 50
    near(v0 * v3**2 + v1**2, 0, 9)  # F(v) = 0 for v_2 = 0, v_4 = 1


@figure("fig-02-nearest")
def _(fig, names):
    arrows = [t for t in fig.axes[0].texts if hasattr(t, "xyann")]
    assert len(arrows) == 9
    for arrow in arrows:
        start, end = np.asarray(arrow.xyann), np.asarray(arrow.xy)
        near(end, start * (start == start.max()), 6)


@figure("fig-03-flat")
def _(fig, names):
    lines = curves(fig.axes[1])
    for (_, y), first in zip(lines, (0.49, 0.85, 1.48)):
        near(y[0], first)
        assert y[-1] > y[0]
    for (_, y), level in zip(lines[3:], (0.36, 0.63)):
        near(y, level)


@figure("fig-03-four")
def _(fig, names):
    triple = curves(fig.axes[0])[-1]
    assert triple.shape == (3, 4) and (triple.prod(axis=0) > 0).all()
    near(np.abs(triple), [[0.73], [1.24], [1.11]])


@figure("fig-03-newton")
def _(fig, names):
    lines = curves(fig.axes[0])
    x, y = lines[1]
    assert (np.diff(y) > 0).all() and (np.diff(y, 2) > -1e-9).all()
    z = [c[0, 0] for c in lines if c.shape[1] == 1]
    assert z == sorted(z, reverse=True)
    near(np.interp(z[-1], x, y), 0, 3)
    for n in range(2):  # the tangent at z_n meets the axis in z_(n+1)
        (_, a, b), (_, height, foot) = lines[2 + n]
        near([a, b, foot], [z[n], z[n + 1], 0], 9)
        near(height, np.interp(a, x, y))


@figure("fig-03-drift")
def _(fig, names):
    left, right = (curves(ax) for ax in fig.axes)
    last = [y[-1] for _, y in left[:3]]
    assert last[0] > last[1] > last[2] > 0 and all(y[0] == 0 for _, y in left[:3])
    for i in (0, 2):
        assert abs(slope(*right[i]) - 1) < 0.1
        near(np.log(right[i][1][-1] / right[i + 1][1][-1]), 0, 1)


@figure("fig-04-ellipses")
def _(fig, names):
    v = np.array([[1.6], [0.8]])
    for curve, delta in zip(curves(fig.axes[0]), (-4, 0, 4)):
        b = 0.5 * (delta + np.sqrt(delta**2 + 4 * 3.2))
        sizes = np.linalg.norm(curve - v, axis=0)
        near(sizes.max(), 0.4 * np.sqrt(b + 3.2 / b), 2)
        near(sizes.min(), 0.4 * np.sqrt(b), 2)


@figure("fig-04-matrix")
def _(fig, names):
    j, k = images(fig)
    near(j[:3, 0], [0.8, 0, 0.5], 9)
    near(j[:3, 3], [1.0, -0.6, 0.4], 9)
    near(np.diff([j[i:i + 5, i] for i in range(3)], axis=0), 0, 9)
    near(k, j @ j.T, 9)


@figure("fig-04-image")
def _(fig, names):
    smooth, rough = images(fig)
    assert smooth[2, 2] == rough[2, 2] == 1 and (smooth > 0).all() and rough.min() < 0


def bends(lines, start, end, deltas):
    """Paths of the plane: the larger delta, the farther from zero they stay."""
    for curve in lines:
        ends(curve, start, end, 2)
    least = [np.linalg.norm(curve, axis=0).min() for curve in lines]
    assert least == sorted(least, reverse=True)
    assert list(deltas) == sorted(deltas, reverse=True)


@figure("fig-04-paths")
def _(fig, names):
    lines = curves(fig.axes[0])
    bends(lines[4:8], (2, 0.4), (0.4, 1.6), (np.inf, 6, 0, -6))
    near(lines[4].shape[1], 2, 6)


@figure("fig-05-fingerprint")
def _(fig, names):
    right = curves(fig.axes[1])
    v = lcn.end_to_end(lcn.LCN((3, 6), 3), names["w"])
    for c, (_, y) in enumerate(right):
        near(y, v[c::3], 9)
    first, *others = (y for _, y in right)
    near(sorted(y @ first / (first @ first) for y in others), [-0.6, 0.35], 2)


@figure("fig-05-condition")
def _(fig, names):
    _, random, towards = curves(fig.axes[0])
    assert len(random[0]) == 100 and len(towards[0]) == 7
    assert 0 < random[1].min() and random[1].max() < 1e-14
    near(random[0].min(), 0.6, 1)
    near(random[0].max(), 5.2, 1)
    assert 1e7 < towards[0].max() < 4e7 and 0.7 < slope(*towards) < 1.3
    assert 1e-11 < towards[1].max() < 1e-7


@figure("fig-metrics-flow")
def _(fig, names):
    lines = curves(fig.axes[0])
    paths, dots = lines[0:6:2], lines[1:6:2]
    least = dict(zip(names["runs"], (np.linalg.norm(p, axis=0).min() for p in paths)))
    assert least[4] > least[0] > least[-4]
    for path, dot in zip(paths, dots):
        near(path[:, 0], (1.5, 0.2))
        assert np.linalg.norm(path[:, -1] - (0.2, 1.2)) < 0.1
        lies_on(dot, path, 0.05)


@figure("fig-metrics-opening", mirror="x")
def _(fig, names):
    for ax, delta in zip(fig.axes, (-2, 2)):
        shapes = [c for c in curves(ax) if c.shape[1] > 3]
        assert len(shapes) == 24
        x = np.arange(-2, 3) * 0.75
        for curve, v in zip(shapes, [(a, b) for a in x for b in x if a or b]):
            centre = 0.5 * (curve.max(axis=1) + curve.min(axis=1))
            near(centre, v, 2)
            rho = np.hypot(*v)
            b = 0.5 * (delta + np.hypot(delta, 2 * rho))
            sizes = np.linalg.norm(curve - centre[:, None], axis=0)
            # Half axes are roots of the eigenvalues of K: b across, b + rho^2 / b along.
            near(sizes.max() / sizes.min(), np.sqrt(1 + (rho / b) ** 2), 1)
            long = (curve - centre[:, None])[:, sizes.argmax()] / sizes.max()
            assert abs(long @ v) > 0.99 * rho


@figure("fig-metric-surfaces")
def _(fig, names):
    for ax, delta in zip(fig.axes, (-2, 0, 2)):
        points = np.concatenate([np.concatenate(list(part._segments3d)) for part in ax.collections
                                 if hasattr(part, "_segments3d")])
        w0, w1, c = points.T
        assert (c >= 0).all() and len(points) > 100
        near(c**2 - w0**2 - w1**2, delta, 6)


@figure("fig-06-two-flows")
def _(fig, names):
    left, right = (curves(ax) for ax in fig.axes[:2])
    turned = {}
    for i, delta in enumerate(names["runs"]):
        path, dots = left[2 * i], left[2 * i + 1]
        lies_on(dots, path, 3)
        share = (path - path[:, :1]) / (path[:, -1:] - path[:, :1])
        turned[delta] = np.interp(0.5, share[1], share[0])
        loss = right[2 * i][1]
        assert (loss > 0).all() and (np.diff(loss) < 1e-12).all() and loss[-1] < 1e-3 * loss[0]
        ends(path, left[-2][:, 0], left[-1][:, 0], -1)
    assert turned[-6] < turned[0] < turned[6]


@figure("fig-delta-price")
def _(fig, names):
    (x, first), (_, second), *_ = curves(fig.axes[0])
    assert (np.diff(first) < 0).all() and (np.diff(second) > 0).all()
    near(np.interp(0, x, first), 12**-0.5, 9)
    near(np.interp(0, x, second), 12**-0.5, 9)
    near(np.interp(-4, x, first), 6 / 12, 9)  # the running example: |w_1|^2 = 6, |w_2|^2 = 2
    near(np.interp(-4, x, second), 2 / 12, 9)


@figure("fig-sheets-crossing")
def _(fig, names):
    first, second = names["flow"].filters
    for ax, i in zip(fig.axes, names["cross"]):
        dashed, solid = curves(ax)[:2]
        # v_1 = b d, v_3 = b e for w_1 = (a, b, c), w_2 = (d, e).
        near(solid, first[:, i, 1] * second[:, i].T, 9)
        assert np.linalg.norm(solid, axis=0).min() < 0.1
        s = int(np.argmax(np.sign(first[:, i, 1]) != np.sign(first[0, i, 1])))
        near(np.linalg.det(np.stack([dashed[:, 1], first[s, i, [0, 2]]])), 0, 9)


@figure("fig-connected-runs")
def _(fig, names):
    left, right = (curves(ax) for ax in fig.axes)
    ends(left[0], (2, 1), names["conv"][0].end_to_end[-1, :2], 6)
    lies_on(left[1], left[0], 1e-3)
    starts = np.array([c[:, 0] for c in right[:3]])
    near(starts, starts[0], 6)
    for curve in right[:3]:
        near(curve[:, -1], right[3][:, 0], 2)
    turns = [np.arctan2(*(c[:, 1] - c[:, 0])[::-1]) for c in right[:3]]
    assert min(abs(np.subtract(*pair)) for pair in pairwise(turns)) > 0.05
    near(right[3][:, 0], np.diagonal(names["target"]), 9)


@figure("fig-07-opening")
def _(fig, names):
    low = fig.axes[1]
    drawn = dict(zip(names["runs"], curves(low)))
    (t, fall), (_, keep) = drawn[3.0], drawn[0.0]
    near([fall[0], keep[0]], 0.67)
    near([t[fall.argmin()], fall[-1]], [0.47, 0.35])
    assert 0 <= fall.min() < 1e-3
    near(keep.min(), 0.17)
    near(t[keep.argmin()], 1.2, 1)


@figure("fig-08-loss")
def _(fig, names):
    (t, a), (_, b) = curves(fig.axes[0])
    assert min(a.min(), b.min()) > 0 and (np.diff(a) < 0).all() and (np.diff(b) < 0).all()
    near(np.log(a[0] / b[0]), 0, 1)
    middle = (t > 1) & (t < 5)
    assert (a[middle] < b[middle]).all()
    assert max(np.interp(10, t, a) / a[0], np.interp(10, t, b) / b[0]) < 0.01


@figure("fig-08-photo")
def _(fig, names):
    face, a, b, out = images(fig)
    assert face.min() >= 0
    for name, picture in (("A", a), ("B", b)):
        w = [x[-1] for x in names["flows"][name].filters]
        first = lcn.apply(lcn.LCN([w[0].shape]), w[:1], face)
        near(picture / np.abs(first).max(), first / np.abs(first).max(), 9)
    whole = lcn.apply(lcn.LCN([w[0].shape, w[1].shape]), [
        x[-1] for x in names["flows"]["A"].filters], face)
    near(out / np.abs(whole).max(), whole / np.abs(whole).max(), 9)


@figure("fig-08-terrain")
def _(fig, names):
    land, relief = images(fig)
    assert land.min() > 0 and abs(relief.mean()) < 0.2 * relief.std()
    v = names["flows"]["A"].end_to_end[-1]
    near(relief, lcn.apply(lcn.LCN([v.shape]), [v], land), 6)


@figure("fig-09-opening", mirror="x")
def _(fig, names):
    for ax, delta in zip(fig.axes, (3, -3)):
        lines = curves(ax)
        rings = [c for c in lines if c.shape[1] == 97]
        assert len(rings) == 4 and sum(c.shape[1] == 17 for c in lines) == 16
        for ring, distance in zip(rings, (0.15, 0.3, 0.45, 0.6)):
            wide, high = np.ptp(ring, axis=1)
            assert wide / high < 1.25 if delta > 0 else wide / high > 1.5
            # Along the ray the metric is d rho^2 / R, R = sqrt(delta^2 + 4 rho^2).
            rho = ring[0].max()
            x = np.linspace(1.2, rho, 2001)
            length = np.trapezoid((delta**2 + 4 * x**2) ** -0.25, x)
            near(length, distance, 2)


@figure("fig-10-landscape")
def _(fig, names):
    _, y = curves(fig.axes[0])[0]
    valleys = sorted(y[i] for i in range(1, len(y) - 1) if y[i] < min(y[i - 1], y[i + 1]))
    near(valleys, [0.30, 0.54, 0.59])
    marks = {line.get_label(): np.asarray(line.get_ydata(), dtype=float)
             for line in fig.axes[0].lines}
    near(sorted(marks["minimum"]), [0.30, 0.54, 0.59])
    assert len(marks["saddle"]) == 3 and marks["saddle"].min() > 0.59


@figure("fig-10-basins")
def _(fig, names):
    bars = np.array([[p.get_height() for p in c] for c in fig.axes[0].containers])
    assert bars.shape == (3, 3) and (bars.argmax(axis=1) == 0).all()
    near(bars.sum(axis=1), 1, 9)
    assert bars[2, 0] < bars[:2, 0].min() and (bars[2, 1:] > bars[:2, 1:].max(axis=0)).all()


@figure("fig-basins")
def _(fig, names):
    (basins,) = (np.asarray(ax.images[0].get_array()) for ax in fig.axes if ax.images)
    assert set(np.unique(basins)) == {0, 1, 2}
    image = fig.axes[0].images[0]
    assert image.origin == "lower" and list(image.get_extent()) == [0, 360, -4, 4]
    assert (np.diff(basins.astype(int), axis=0) != 0).any(axis=0).mean() > 0.2


@figure("fig-rates")
def _(fig, names):
    fall = {}
    for i, delta in enumerate(names["ends"]):
        (t, y), (s, line) = curves(fig.axes[0])[2 * i:2 * i + 2]
        assert y.min() > 0
        late = (t > 6) & (y > 1e-8)
        fall[delta] = np.polyfit(t[late], np.log(y[late]), 1)[0]
        predicted = np.polyfit(s, np.log(line), 1)[0]
        assert abs(fall[delta] / predicted - 1) < 0.1
    assert fall[0] == min(fall.values()) and fall[-4] == max(fall.values()) < 0


@figure("fig-laws-staircase")
def _(fig, names):
    n, found = curves(fig.axes[0])[0]
    near(found, np.maximum(15 - n, 1), 9)


@figure("fig-relu-kinks")
def _(fig, names):
    (x, y), *kinks = curves(fig.axes[0])
    a, b = names["a"], names["b"]
    angle = np.radians(x)
    points = np.stack([np.cos(angle), np.sin(angle)])
    near(y, a @ np.maximum(b @ points, 0), 9)
    assert len(kinks) == 6
    for line in kinks:
        at = np.radians(line[0, 0])
        near(np.abs(b @ [np.cos(at), np.sin(at)]).min(), 0, 9)


@figure("fig-12-map")
def _(fig, names):
    heights, relief = images(fig)
    near(names["elevation"].max(), 1076, 0)
    assert heights.min() > 0 and 1000 < heights.max() < 1077
    whole = lcn.apply(names["full"], [names["relief"]], names["elevation"])
    near(relief, whole[::2, ::2], 6)


@figure("fig-12-loss")
def _(fig, names):
    lines = curves(fig.axes[0])
    assert len(lines) == 18
    for (t, y), name in zip(lines, np.repeat(list(names["looks"]), 6)):
        assert y.min() > 0 and np.diff(y).max() < 1e-9, (name, y.min(), np.diff(y).max())
        assert 0.5 < y[0] < 1.6 and np.interp(1, t, y) < 0.6
        assert 0.005 < y[-1] < 0.031 if name == "edge" else y[-1] < 1e-4


@figure("fig-12-delta")
def _(fig, names):
    (_, second), (_, first), (_, delta) = curves(fig.axes[0])
    near([second[0], second[-1], first[0], first[-1]], [0.59, 1.04, 0.09, 0.54])
    near(delta, 0.5, 6)


@figure("fig-12-tent")
def _(fig, names):
    (_, tent), (_, learned), (_, nearest) = curves(fig.axes[0])
    near([tent[0], tent.max()], [0.03, 0.31])
    near(nearest.reshape(4, 5).mean(axis=1), [0.09, 0.25, 0.25, 0.09])
    assert np.abs(learned - nearest).max() < 0.1 and learned.mean() < nearest.mean()


@figure("fig-12-weeks")
def _(fig, names):
    (_, target), (_, network) = curves(fig.axes[0])
    assert abs(len(target) - 86) < 2, len(target)
    assert np.corrcoef(target, network)[0, 1] > 0.9, np.corrcoef(target, network)
    near(target[0], names["tent"] @ np.ravel(names["x_test"])[:len(names["tent"])], 9)
