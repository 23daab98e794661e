"""Curvature of the metric g_delta."""

from typing import NamedTuple

import numpy as np

from ._core.checks import as_filters
from ._core.plan import plan
from ._core.tangent import RTOL_TANGENT, lifted, polar, split_vectors, weights
from .errors import InputError

# Below this sine of the angle between two vectors the plane is not determined well enough.
RTOL_PLANE = 1e-7


class CoordinateCurvatures(NamedTuple):
    """Sectional curvatures of the planes spanned by two coordinate directions.

    Attributes
    ----------
    radial : ndarray, shape (*batch, H)
        The radial direction with a direction of sphere i.
    spheres : ndarray, shape (*batch, H, H)
        Directions of spheres i and j; on the diagonal two directions of the same sphere,
        which exist when its dimension |k_i| - 1 is at least two.
    """

    radial: np.ndarray
    spheres: np.ndarray


def sectional_curvature(net, filters, a, b, rtol=RTOL_TANGENT):
    """The sectional curvature of (M, g_delta) at v of the plane spanned by a and b.

    The level set of the invariants in parameter space is
    locally isometric to M, and its normals are the scaling directions, so the
    Gauss equation gives the curvature.  For horizontal lifts (X_i), (Y_i) of
    orthonormal a, b it reads

        curvature = S ( Cov(|X_i|^2, |Y_i|^2) - Var(<X_i, Y_i>) ),

    with S = sum_j |w_j|^-2 and covariance and variance over the layers i with
    probabilities |w_i|^-2 / S.

    Book: thm-09-covariance.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
    a, b : ndarray, shapes (*lead, *k)
        Linearly independent tangent vectors at v; leading axes broadcast.
    rtol : float, optional
        Largest normal part of a or b, relative to its length.

    Returns
    -------
    float, or ndarray of the broadcast leading shape

    Raises
    ------
    InputError
        When a and b are parallel or zero, or shapes do not fit.
    NotTangentError
        When a or b is not in the image of dmu.
    SingularPointError, ZeroFilterError
        When dmu drops rank at the filters.

    Examples
    --------
    Balanced filters: M is a metric cone, and planes through its rays are flat.

    >>> net, w = LCN((3, 2), strides=3), [[1, 0, 0], [1, 0]]
    >>> v, a, b = [1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]
    >>> [round(abs(sectional_curvature(net, w, x, b)), 12) for x in (v, a)]
    [0.0, 0.5]
    """
    fr, a, b = split_vectors(net, filters, rtol, a=a, b=b)
    plane = np.broadcast_arrays(_lift(fr, a, "a"), _lift(fr, b, "b"))
    xy, r = np.linalg.qr(np.stack(plane, axis=-1))
    size = np.abs(r[..., 1, 1]) / np.hypot(r[..., 0, 1], r[..., 1, 1])
    if (size <= RTOL_PLANE).any():
        raise InputError("a, b: expected two linearly independent vectors, got parallel ones (sine "
                         f"of the angle {float(size.min()):.1e}); a plane needs two directions")
    # |X_i|^2, |Y_i|^2, <X_i, Y_i>
    pairs = np.add.reduceat(xy[..., [0, 1, 0]] * xy[..., [0, 1, 1]], plan(net).offsets[:-1], -2)
    prob = fr.weights[..., None]
    aa, bb, ab = np.moveaxis(pairs - (prob * pairs).sum(axis=-2, keepdims=True), -1, 0)
    out = (fr.weights * (aa * bb - ab**2)).sum(axis=-1) / fr.inverse_s
    return out if np.ndim(out) else float(out)


def _lift(fr, vector, name):
    """The horizontal lift with largest entry one."""
    x = np.concatenate(lifted(fr, *vector), axis=-1)
    scale = np.abs(x).max(axis=-1, keepdims=True)
    if not scale.all():
        raise InputError(f"{name}: expected a non-zero tangent vector, got zero")
    return x / scale


def coordinate_curvatures(net, filters):
    """Curvatures of the coordinate planes of the warped product, in closed form.

    With r_i = |w_i| and S = sum_j r_j^-2 the radial plane
    with sphere i has (S - r_i^2 sum_j r_j^-4) / (r_i^4 S^2), spheres i and j have
    -1 / (r_i^2 r_j^2 S), and one sphere has (1 - 1 / (r_i^2 S)) / r_i^2.  Every other
    plane has a weighted mean of these, the weights being the squares of its Pluecker
    coordinates.

    Book: prop-09-curvature.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i), none of them zero

    Returns
    -------
    CoordinateCurvatures

    Raises
    ------
    ZeroFilterError
        When a filter is zero.

    Examples
    --------
    >>> c = coordinate_curvatures(LCN((3, 3), strides=3), [[1, 0, 0], [0, 0, 1]])
    >>> c.radial.tolist(), c.spheres.tolist()
    ([0.0, 0.0], [[0.5, -0.5], [-0.5, 0.5]])
    """
    radii, _ = polar(net, as_filters(net, filters))
    p = weights(radii)
    unit = radii**-2.0
    mean = (p * unit).sum(axis=-1, keepdims=True)  # sum_j r_j^-4 / S
    radial = p * (unit - mean)
    spheres = -p[..., :, None] * unit[..., None, :]
    i = np.arange(net.depth)
    spheres[..., i, i] = (1 - p) * unit
    return CoordinateCurvatures(radial, spheres)
