"""Pictures of flows, as `touch` draws them for paper: the plane, the hyperbolas, the bounce."""

import numpy as np

import lcnlib as lcn

from .drawing import cone, ellipse, surface_of_revolution
from .figures import INK, PAPER, ROLES, look

__all__ = ["alt_bounce", "alt_hyperbolas", "alt_plane", "draw_bounce", "draw_hyperbolas",
           "draw_plane"]


def figure(width=7.2, height=3.8):
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height))


def vector(v, digits=2):
    """(1.00, −0.50), as the pictures write it."""
    return f"({', '.join(number(x, digits) for x in v)})"


def number(x, digits=2):
    text = f"{x:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


# ---- plane

PLANE = lcn.LCN((2, 1))


def above(v, delta):
    """The filters of v on the half of the surface where the weight of layer 2 is positive."""
    w = lcn.lift(PLANE, v, [delta])
    return [-x for x in w] if w[1][0] < 0 else w


def _run(start, target, delta, time):
    w = above(start, delta)
    return lcn.gradient_flow(PLANE, lcn.QuadraticLoss(target), w, np.linspace(0, time, 61))


def draw_plane(start, target, delta, time, rulers):
    fig = figure()
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
    return (f"A plane of filters with three ways from {vector(start)} to the target "
            f"{vector(target)}, for δ = −3, 0 and 3, and beside it the surface on which the "
            f"weights move for δ = {delta:g}. At time {time:.2f} the filter is at "
            f"{vector(v, 3)}, and the loss is {flow.loss[-1]:.3f}; the ellipse around it is the "
            "image of a small disc on the surface.")


# ---- hyperbolas

LINE = lcn.LCN((1, 1))


def hyperbola_runs(start, target, step, time=6.0):
    """The flow, and the states of gradient descent with this step, up to the same time."""
    loss, w = lcn.QuadraticLoss([target]), [np.array([x]) for x in start]
    flow = lcn.gradient_flow(LINE, loss, w, np.linspace(0, time, 121))
    path = [np.concatenate(w)]
    for _ in range(int(np.ceil(time / step - 1e-9))):
        if np.abs(path[-1]).max() > 1e6:
            break
        slope = lcn.vjp(LINE, path[-1][:, None], loss.gradient(path[-1].prod(keepdims=True)))
        path.append(path[-1] - step * np.concatenate(slope))
    return flow, np.array(path)


def draw_hyperbolas(start, target, step):
    flow, path = hyperbola_runs(start, target, step)
    delta = flow.invariants[0, 0]
    fig = figure()
    ax, drift = fig.add_subplot(1, 2, 1), fig.add_subplot(1, 2, 2)
    x, y = np.meshgrid(np.linspace(-2.5, 2.5, 101), np.linspace(-2.5, 2.5, 101))
    ax.contour(x, y, y**2 - x**2, [-3, -1.5, 0, 1.5, 3], colors=ROLES["metric"], linewidths=0.6,
               linestyles="-")
    ax.contour(x, y, y**2 - x**2, [delta], colors=look(delta)["color"], linewidths=1.5)
    if target:
        ax.contour(x, y, x * y, [target], colors=ROLES["target"], linewidths=3, linestyles="-")
    ax.plot(*np.hstack(flow.filters).T, color=look(delta)["color"], lw=4)
    style = {"color": INK, "lw": 1, "marker": "o", "ms": 5, "mfc": PAPER}
    ax.plot(*path[:60].T, **style)
    ax.plot(*start, "o", color=INK, ms=9)
    ax.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal", xlabel="$w_1$", ylabel="$w_2$")
    drift.plot(flow.t, flow.invariants[:, 0], color=look(delta)["color"], lw=4, label="flow")
    drift.plot(step * np.arange(len(path)), np.diff(path**2, axis=1), label="descent", **style)
    drift.set(xlabel="time", ylabel="$\\delta$", ylim=(-6.5, 6.5))
    drift.legend()
    return fig


def alt_hyperbolas(start, target, step):
    flow, path = hyperbola_runs(start, target, step)
    end = np.diff(path[-1] ** 2)[0]
    went = f"ends with δ = {number(end, 3)}" if abs(end) < 1e3 else "blows up"
    return (f"The plane of two weights with hyperbolas of constant δ. From {vector(start)} the "
            f"flow stays on one, with δ = {number(flow.invariants[0, 0], 3)}, until the product "
            f"of the weights is {number(target, 1)}. Gradient descent with step {step:g} leaves it "
            f"and {went}.")


# ---- bounce

PAIR = lcn.LCN((2, 2))


def bounce_run(first, second, target, level):
    """The flow to the target that is given by its place seen from above and its height."""
    x, y = target
    loss = lcn.QuadraticLoss([(level - y) / 2, x, (level + y) / 2])
    flow = lcn.gradient_flow(PAIR, loss, [np.array(first), np.array(second)],
                             np.linspace(0, 3, 121))
    w, u = flow.filters
    return flow, w[:, 0] * u[:, 1] - w[:, 1] * u[:, 0]


def draw_bounce(first, second, target, level, time, view):
    flow, det = bounce_run(first, second, target, level)
    i, v = round(time / 3 * 120), flow.end_to_end
    color = look(flow.invariants[0, 0])["color"]
    fig = figure(7.2, 7.0)
    arrows, top, line = (fig.add_subplot(2, 2, k) for k in (1, 2, 4))
    space = fig.add_subplot(2, 2, 3, projection="3d", computed_zorder=False)
    for w, role in zip(flow.filters, ("layer 1", "layer 2")):
        arrows.plot(*w.T, color=ROLES[role], lw=1.5, ls=":")
        arrows.annotate("", w[i], (0, 0), arrowprops={"color": ROLES[role], "arrowstyle": "->",
                                                      "lw": 3})
    arrows.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xlabel="entry 0", ylabel="entry 1")
    top.plot(*ellipse(np.eye(2), size=abs(v[i, 0] + v[i, 2])).T, color=INK, lw=1)
    top.fill(*ellipse(np.eye(2), size=abs(v[i, 0] + v[i, 2])).T, color=ROLES["metric"], alpha=0.35)
    for w, role, dashes in zip(flow.filters, ("layer 1", "layer 2"), ("-", "--")):
        square = np.convolve(w[i], w[i]) * (v[i, 0] + v[i, 2]) / (w[i] @ w[i])
        x, y = square[1], square[2] - square[0]
        top.plot([x - 9 * y, x + 9 * y], [y + 9 * x, y - 9 * x], color=ROLES[role], lw=1.2,
                 ls=dashes)
    top.plot(v[:, 1], v[:, 2] - v[:, 0], color=color, lw=1.5)
    top.plot(v[: i + 1, 1], v[: i + 1, 2] - v[: i + 1, 0], color=color, lw=4)
    h, at = v[i, 0] + v[i, 2], np.array([v[i, 1], v[i, 2] - v[i, 0]])
    seen = np.array([[0, 1, 0], [-1, 0, 1]]) - np.outer(at * h / (h * h + 1e-3), [1, 0, 1])
    w = [x[i] for x in flow.filters]
    for own, style in ((lcn.rescale(PAIR, w[::-1], flow.invariants[0]), "--"), (w, "-")):
        top.plot(*ellipse(seen @ lcn.ntk(PAIR, own) @ seen.T, at, 0.3).T, color=INK,
                 ls=style, lw=1.2)
    top.plot(*at, "o", color=INK, ms=4)
    top.plot(*target, "*", color=ROLES["target"], ms=17)
    top.set(xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), aspect="equal", xlabel="$v_1$",
            ylabel="$v_2 - v_0$")
    cone(space, 2.6)
    walk = np.stack([v[:, 1], v[:, 2] - v[:, 0], v[:, 0] + v[:, 2]])
    space.plot(*walk, color=color, lw=1.5)
    space.plot(*walk[:, : i + 1], color=color, lw=4)
    space.plot(*walk[:, i], "o", color=INK, ms=4)
    space.plot(*target, level, "*", color=ROLES["target"], ms=12)
    space.set_axis_off()
    space.set_box_aspect((1, 1, 1), zoom=1.2)
    space.view_init(*view[::-1])
    line.plot(flow.t, det, color=color, lw=3)
    line.axhline(0, color=INK, lw=1)
    line.axvline(flow.t[i], color=INK, lw=1, ls=":")
    line.set(xlabel="time", ylabel="$\\det(w_1, w_2)$", ylim=(-6, 6))
    return fig


def alt_bounce(first, second, target, level, time, view):
    flow, det = bounce_run(first, second, target, level)
    crossed = (det[1:] * det[:-1] < 0).sum()
    return (f"Two filters as arrows, {vector(first)} and {vector(second)}, with δ = "
            f"{number(flow.invariants[0, 0], 3)}; beside them the walk of v around the disc of "
            f"filters that cannot be expressed; below, the cone in space and their "
            f"determinant, which changes its sign {crossed} times.")
