"""The README's picture: one start, one loss, three initialisations, three metrics.

usage: python tools/picture.py                 writes assets/picture.svg
       python tools/picture.py preview FILE    writes the preview that other sites show, a PNG
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lcnlib as lcn
from lcnlib.display import COLORS, INK, use_style

START, TARGET = np.array([2.2, -0.7]), np.array([0.3, 1.6])
WEIGHT = np.array([[1.0, 0.25], [0.25, 0.5]])
CASES = [(-4.0, "vermillion", "-."), (0.0, "blue", "-"), (4.0, "green", "--")]
OUT = Path(__file__).resolve().parents[1] / "assets" / "picture.svg"


def draw(ax):
    net, loss = lcn.LCN((2, 1)), lcn.QuadraticLoss(TARGET, WEIGHT)
    x, y = np.meshgrid(np.linspace(-0.8, 3.2, 161), np.linspace(-1.3, 2.1, 137))
    levels = np.array([0.05, 0.2, 0.5, 1, 1.8, 3, 4.5])
    ax.contour(x, y, loss.value(np.stack([x, y], axis=-1)), levels, colors="0.6", linewidths=0.7)
    angle = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for delta, color, style in CASES:
        filters = lcn.lift(net, START, [delta])
        path = lcn.gradient_flow(net, loss, filters, np.linspace(0, 40, 801)).end_to_end
        ax.plot(*path.T, style, color=COLORS[color], lw=2, label=f"δ = {delta:g}".replace("-", "−"))
        for v in path[[0, 4, 9]]:
            values, vectors = np.linalg.eigh(lcn.ntk(net, lcn.lift(net, v, [delta])))
            ball = v[:, None] + 0.12 * vectors @ (np.sqrt(values)[:, None] * circle)
            ax.plot(*ball, color=COLORS[color], lw=1)
    ax.plot(*START, "o", color="0.4")
    ax.plot(*TARGET, "*", color="0.4", ms=11)
    ax.annotate("same start", START, (8, -14), textcoords="offset points")
    ax.annotate("least loss", TARGET, (10, 4), textcoords="offset points")
    ax.set(xlabel="first entry of the end-to-end filter v", ylabel="second entry", aspect="equal",
           xlim=(-0.8, 3.2), ylim=(-1.3, 2.1))
    ax.legend(title="initialisation", loc="upper right")


def picture(path):
    """The picture alone, as SVG."""
    plt.rcParams["svg.hashsalt"] = "picture"
    fig, ax = plt.subplots(figsize=(6.4, 4.2))
    draw(ax)
    fig.savefig(path, metadata={"Date": None})


def preview(path):
    """The picture beside the book's title, 1200 by 630 pixels."""
    fig = plt.figure(figsize=(12, 6.3), dpi=100, layout="none")
    fig.text(0.05, 0.6, "The geometry\nof linear\nconvolutional\nnetworks", fontsize=34,
             fontweight="bold", color=INK, va="center", linespacing=1.15)
    fig.text(0.05, 0.2, "An interactive book,\nand the library lcnlib", fontsize=20, color=INK,
             va="center", linespacing=1.4)
    with plt.rc_context({"font.size": 16, "axes.labelsize": 16, "legend.fontsize": 16,
                         "xtick.labelsize": 14, "ytick.labelsize": 14}):
        draw(fig.add_axes((0.46, 0.12, 0.51, 0.83)))
    fig.savefig(path)


if __name__ == "__main__":
    plt.switch_backend("agg")
    use_style()
    if sys.argv[1:2] == ["preview"]:
        preview(sys.argv[2])
    else:
        picture(OUT)
