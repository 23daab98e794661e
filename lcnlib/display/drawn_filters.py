"""Pictures of filters, as `touch` draws them for paper: polynomials."""

import numpy as np

import lcnlib as lcn

from .drawn_flows import figure, number, vector
from .figures import INK, ROLES

__all__ = ["alt_polynomials", "draw_polynomials"]


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
