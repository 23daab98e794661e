"""What several chapters draw: ellipses of a metric, cones, the umbrella, the circle of K."""

import numpy as np

import lcnlib as lcn

from .figures import COLORS, INK, ROLES, look

__all__ = ["cone", "ellipse", "metric_ellipses", "surface_of_revolution", "umbrella"]


def ellipse(matrix, centre=(0, 0), size=1.0, n=61):
    """Points of the image of a circle: centre + size · matrix^(1/2) · unit vectors.

    With the kernel K of a network with two outputs, the boundary of the unit ball of g = K⁻¹.

    Parameters
    ----------
    matrix : array_like, shape (2, 2)
        Symmetric and positive semidefinite.
    centre : array_like, shape (2,)
    size : float
    n : int
        Number of points; the last is the first.

    Returns
    -------
    ndarray, shape (n, 2)
    """
    values, vectors = np.linalg.eigh(np.asarray(matrix, dtype=float))
    angle = np.linspace(0, 2 * np.pi, n)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return np.asarray(centre) + size * (vectors * np.sqrt(np.maximum(values, 0)) @ circle).T


def metric_ellipses(ax, net, points, delta, size=0.15, **style):
    """Draw the unit balls of g_δ, times `size`, around points of a plane of filters.

    Parameters
    ----------
    ax : matplotlib Axes
    net : LCN
        With two outputs, such as ``LCN((2, 1))``.
    points : array_like, shape (n, 2)
        Filters, none of them zero.
    delta : float
    size : float
    **style
        For ``ax.plot``; by default the thin lines of ``look(delta)``.
    """
    style = {"lw": 1, "color": look(delta)["color"]} | style
    for v in np.asarray(points, dtype=float):
        kernel = lcn.ntk(net, lcn.lift(net, v, [delta]))
        ax.plot(*ellipse(kernel, v, size).T, **style)


def cone(ax, height=1.0, slope=1.0, both=True, color=ROLES["metric"], n=24, **style):
    """Wireframe of the cone |x|² + |y|² = slope² z², up to `height`, on 3-D axes."""
    style = {"lw": 0.6, "color": color} | style
    angle = np.linspace(0, 2 * np.pi, n + 1)
    z = np.linspace(-height if both else 0, height, 9 if both else 5)[:, None]
    ax.plot_wireframe(slope * z * np.cos(angle), slope * z * np.sin(angle), z + 0 * angle,
                      rstride=1, cstride=2, **style)


def surface_of_revolution(ax, delta, top=2.5, angles=(0, 2 * np.pi), n=24, **style):
    """The level set |w₂|² − |w₁|² = δ of k = (2, 1) as a wireframe: funnel, cone or bowl.

    Parameters
    ----------
    ax : Axes3D
        Axes are the two entries of w₁, and w₂ ≥ 0 upwards.
    delta : float
    top : float
        Largest |w₁|.
    angles : (float, float)
        Range of the direction of w₁.
    n : int
        Number of rays.
    """
    style = {"lw": 0.6, "color": COLORS["grey"]} | style
    r, angle = np.meshgrid(np.linspace(max(-delta, 0.0) ** 0.5, top, 9), np.linspace(*angles, n))
    ax.plot_wireframe(r * np.cos(angle), r * np.sin(angle), np.sqrt(np.maximum(r**2 + delta, 0)),
                      rstride=1, cstride=1, **style)


def umbrella(ax, size=1.0, n=25, **style):
    """Whitney's umbrella x² z = y², the self-crossing of k = (3, 2), stride two, on 3-D axes.

    Its handle, where the surface crosses itself, is the upper half of the third axis.
    """
    style = {"lw": 0.6, "color": COLORS["grey"]} | style
    x, s = np.meshgrid(np.linspace(-size, size, n), np.linspace(-1, 1, n))
    ax.plot_wireframe(x, x * s, s**2 * size, rstride=2, cstride=2, **style)
    ax.plot([0, 0], [0, 0], [-0.4 * size, size], color=INK, lw=2)
