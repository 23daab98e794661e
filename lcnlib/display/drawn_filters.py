"""Pictures of filters, as `touch` draws them for paper: polynomials, the comb, the map."""

import numpy as np

import lcnlib as lcn

from .drawn_flows import figure, number, vector
from .figures import INK, ROLES

__all__ = ["alt_comb", "alt_map", "alt_polynomials", "draw_comb", "draw_map", "draw_polynomials"]


def bars(ax, heights, color, start=0.0):
    ax.axhline(0, color=INK, lw=1)
    ax.vlines(start + np.arange(len(heights)), 0, heights, color=color, lw=6)


# ---- polynomials


def _two(first, second, stride):
    net = lcn.LCN((3, 2), (int(stride), 1))
    return net, [np.array(first), np.array(second)]


def spread(second, stride):
    """The roots that layer 2 adds: those of p₂(x^s)."""
    return np.roots(np.r_[second[1], np.zeros(int(stride) - 1), second[0]])


def draw_polynomials(first, second, stride, signal):
    net, w = _two(first, second, stride)
    v, out = lcn.end_to_end(net, w), lcn.apply(net, w, signal)
    fig = figure(7.2, 5.4)
    taps, product, plane, wave = (fig.add_subplot(2, 2, i + 1) for i in range(4))
    bars(taps, first, ROLES["layer 1"])
    bars(taps, second, ROLES["layer 2"], 3.5)
    taps.set(ylim=(-2.5, 2.5), title="two filters", xticks=[0, 1, 2, 3.5, 4.5],
             xticklabels=[0, 1, 2, 0, 1], xlabel="entry")
    bars(product, v, INK)
    product.set(title="their product", xlabel="entry")
    z, y = np.roots(first[::-1]), spread(second, stride)
    plane.plot(z.real, z.imag, "o", color=ROLES["layer 1"], label="layer 1")
    plane.plot(y.real, y.imag, "o", mfc="none", mew=2.5, color=ROLES["layer 2"], label="layer 2")
    plane.set(xlim=(-2.6, 2.6), ylim=(-2, 2), xlabel="real part", ylabel="imaginary part")
    plane.legend(loc="upper right")
    wave.plot(signal, ".-", color=ROLES["metric"], lw=1.5, label="input")
    wave.plot(np.arange(len(out)) * int(stride) + (len(v) - 1) / 2, out, "o-", color=INK,
              label="output")
    wave.set(xlabel="place", ylabel="signal")
    wave.legend(loc="upper left")
    return fig


def alt_polynomials(first, second, stride, signal):
    net, w = _two(first, second, stride)
    z = ", ".join(f"{number(x.real)}{f' + {number(x.imag)}i' if x.imag else ''}"
                  for x in np.roots(first[::-1]))
    return (f"Two filters as bars, {vector(first)} and {vector(second)}; with stride {stride:g} "
            f"their product is {vector(lcn.end_to_end(net, w))}. In the complex plane the roots of "
            f"layer 1, {z}, and the {stride:g} that layer 2 adds; beside them a signal and the "
            "output.")


# ---- comb

COMB = lcn.LCN((3, 2), 2)


def nearest(v):
    """Filters of the point of M that alternating least squares finds from v, and its distance."""
    odd = np.array(v[1::2])
    if not odd.any():
        odd = np.array([1.0, 1.0])
    rest = np.inf
    for _ in range(500):
        basis = np.array([lcn.end_to_end(COMB, [e, odd]) for e in np.eye(3)])
        first = np.linalg.lstsq(basis.T, v)[0]
        basis = np.array([lcn.end_to_end(COMB, [first, e]) for e in np.eye(2)])
        odd = np.linalg.lstsq(basis.T, v)[0]
        last, rest = rest, np.linalg.norm(lcn.end_to_end(COMB, [first, odd]) - v)
        if last - rest < 1e-15:
            break
    return [first, odd], rest


def draw_comb(v, delta):
    filters, _ = nearest(v)
    w = lcn.rescale(COMB, filters, [delta])
    fig = figure(7.2, 3.2)
    left, right = fig.add_subplot(1, 2, 1), fig.add_subplot(1, 2, 2)
    bars(left, v, INK)
    left.plot([0, 2, 4], v[::2], "o", color=ROLES["layer 1"], label="even")
    left.plot([1, 3], v[1::2], "s", color=ROLES["layer 2"], label="odd")
    left.plot(lcn.end_to_end(COMB, w), "_", color=ROLES["target"], ms=18, mew=3, label="in M")
    left.set(ylim=(-3, 3.5), title="v", xlabel="entry")
    left.legend(ncols=3, loc="lower left", columnspacing=0.8, handletextpad=0.2)
    bars(right, w[0], ROLES["layer 1"])
    bars(right, w[1], ROLES["layer 2"], 3.5)
    right.set(ylim=(-3, 3.5), title="the two layers", xticks=[0, 1, 2, 3.5, 4.5],
              xticklabels=[0, 1, 2, 0, 1], xlabel="entry")
    return fig


def alt_comb(v, delta):
    filters, rest = nearest(v)
    w = lcn.rescale(COMB, filters, [delta])
    return (f"Five bars, v = {vector(v)}, of which the even ones and the odd ones form two combs; "
            f"the point of M found nearest is at distance {number(rest, 3)}. Beside it, for δ = "
            f"{number(delta, 1)}, its layers {vector(w[0], 3)} and {vector(w[1], 3)}, up to a "
            "common sign.")


# ---- map


def _architecture(layers, shapes, strides):
    n = int(layers)
    return lcn.LCN([tuple(map(int, k)) for k in shapes[:n]], [(int(s),) * 2 for s in strides[:n]])


def draw_map(layers, shapes, strides, balanced):
    net = _architecture(layers, shapes, strides)
    tables = [*net.filter_shapes, net.end_to_end_shape]
    titles = [f"layer {i + 1}" for i in range(net.depth)] + ["product"]
    fig = figure(7.2, 2.4)
    for i, (k, title) in enumerate(zip(tables, titles)):
        ax = fig.add_subplot(1, len(tables), i + 1)
        color = [ROLES["layer 1"], ROLES["layer 2"], INK, INK][i] if i < net.depth else INK
        ax.pcolormesh(np.zeros(k), edgecolors=color, facecolor="none", linewidth=2)
        ax.set(title=title, aspect="equal")
        ax.axis("off")
    return fig


def alt_map(layers, shapes, strides, balanced):
    net = _architecture(layers, shapes, strides)
    delta = [0.0] * (net.depth - 1) if balanced else None
    words = " and ".join(f"{a} by {b}" for a, b in net.filter_shapes)
    return (f"Layers of {words} cells, the first with stride {net.strides[0][0]}, and their "
            f"product. The functions have dimension {net.dimension}; a generic one has "
            f"{lcn.generic_kernel_count(net)} factorisations and "
            f"{lcn.generic_kernel_count(net, delta)} kernels for "
            f"{'zero' if balanced else 'a generic'} δ.")
