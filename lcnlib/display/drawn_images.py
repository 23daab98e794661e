"""Pictures of filters for images, as `touch` draws them for paper: the painting."""

import numpy as np

import lcnlib as lcn

from .drawn_flows import figure, number
from .figures import COLORS, INK, ROLES

__all__ = ["alt_painting", "draw_painting"]

NET = lcn.LCN([(3, 3), (3, 3)])
BLUR = [[0.0, 0.125, 0.0], [0.125, 0.5, 0.125], [0.0, 0.125, 0.0]]
EDGE = [[-0.5, -0.25, 0.0], [-0.25, 0.0, 0.25], [0.0, 0.25, 0.5]]


def photograph():
    """The photograph of `explorables/photograph.js`, in 50 by 50 pixels of 16 greys."""
    import matplotlib.pyplot as plt
    from matplotlib.cbook import get_sample_data

    with get_sample_data("grace_hopper.jpg") as file:
        colors = plt.imread(file, format="jpg")[40:340, 130:430] / 255
    grey = colors.reshape(50, 6, 50, 6, 3).mean(axis=(1, 3, 4))
    return np.round(15 * grey) / 15


def squares(ax, table, most, color, title):
    """Squares whose area tells the size of an entry: full ones positive, open ones negative."""
    n = len(table)
    for (i, j), x in np.ndenumerate(table):
        s = 0.92 * min(1, abs(x) / most) ** 0.5
        if s > 0.04:
            ax.add_patch(_square(j + 0.5, i + 0.5, s, fill=x > 0, color=color, lw=2))
    ax.vlines(range(n + 1), 0, n, color=COLORS["grey"], lw=0.6)
    ax.hlines(range(n + 1), 0, n, color=COLORS["grey"], lw=0.6)
    ax.set(xlim=(0, n), ylim=(n, 0), aspect="equal", title=title)
    ax.axis("off")


def _square(x, y, s, **style):
    from matplotlib.patches import Rectangle

    return Rectangle((x - s / 2, y - s / 2), s, s, **style)


def draw_painting(first, second):
    v, photo = lcn.end_to_end(NET, [first, second]), photograph()
    fig = figure(7.2, 5)
    grid = fig.add_gridspec(2, 6, height_ratios=[1, 1.3])
    for k, w in enumerate((first, second)):
        squares(fig.add_subplot(grid[0, 2 * k:2 * k + 2]), np.array(w), 1,
                ROLES[f"layer {k + 1}"], f"layer {k + 1}")
    squares(fig.add_subplot(grid[0, 4:]), v, max(np.abs(v).max(), 1e-9), INK, "product")
    shown = {"photograph": photo, "after both layers": lcn.apply(NET, [first, second], photo)}
    for k, (title, image) in enumerate(shown.items()):
        ax = fig.add_subplot(grid[1, 3 * k:3 * k + 3])
        ax.imshow(image, cmap="gray", interpolation="none")
        ax.set_title(title)
        ax.axis("off")
    return fig


def alt_painting(first, second):
    v = lcn.end_to_end(NET, [first, second])
    delta = lcn.invariants(NET, [np.array(first), np.array(second)])[0]
    i, j = np.unravel_index(np.abs(v).argmax(), v.shape)
    return (f"Two 3 by 3 filters as squares of different size, full ones positive and open ones "
            f"negative, with δ = {number(delta, 3)}, and their 5 by 5 product, whose largest "
            f"entry, {number(v[i, j], 3)}, is in row {i + 1}, column {j + 1}. Below, a "
            "photograph of a face, and the same after both layers.")
