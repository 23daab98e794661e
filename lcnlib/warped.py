"""The metric g_delta as a multiply warped product of spheres.

For fixed invariants the filters are determined by t = |w_1|^2 and the directions
u_i = w_i/|w_i|: with sigma_1 = 0 and sigma_i = delta_1 + ... + delta_{i-1},

    |w_i|^2 = t + sigma_i,
    g_delta = 1/4 sum_i dt^2 / (t + sigma_i) + sum_i (t + sigma_i) |du_i|^2.

Every delta is possible, and t fills the half-line t > -min sigma.  As t grows the length is
infinite.  At t = -min sigma exactly the filters with sigma_i = min sigma vanish, v tends to zero,
and the length is finite: the zero filter is the only end at finite distance.
"""

from typing import NamedTuple

import numpy as np

from ._core.checks import (
    as_filters,
    as_invariants,
    as_packed,
    as_real,
    finite_result,
    fits_batch,
    quiet,
)
from ._core.orbit import ray_length
from ._core.scaling import norms, offsets
from ._core.tangent import RTOL_TANGENT, polar, split_vectors
from .errors import InputError


class WarpedPoint(NamedTuple):
    """A point in the warped coordinates.

    Book: prop-09-closed-form.

    Attributes
    ----------
    t : ndarray, shape (*batch,)
        The squared norm of the first filter.
    directions : list of H ndarrays, shapes (*batch, *k_i)
        Filters of norm one.
    invariants : ndarray, shape (*batch, H-1)
    """

    t: np.ndarray
    directions: list
    invariants: np.ndarray


@quiet
def warped_coordinates(net, filters):
    """The coordinates t = |w_1|^2, u_i = w_i/|w_i| and the invariants of the filters.

    Book: prop-09-closed-form.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i), none of them zero

    Returns
    -------
    WarpedPoint

    Raises
    ------
    ZeroFilterError
        When a filter is zero.

    Examples
    --------
    >>> p = warped_coordinates(LCN((2, 1)), [[3, 4], [10]])
    >>> float(p.t), [u.tolist() for u in p.directions], p.invariants.tolist()
    (25.0, [[0.6, 0.8], [1.0]], [75.0])
    """
    radii, units = polar(net, as_filters(net, filters))
    squares = finite_result(radii * radii, "a squared norm")
    return WarpedPoint(squares[..., 0], units, np.diff(squares, axis=-1))


def from_warped_coordinates(net, t, directions, invariants):
    """The filters sqrt(t + sigma_i) u_i.

    The inverse of `warped_coordinates`.

    Book: prop-09-closed-form.

    Parameters
    ----------
    net : LCN
    t : float or ndarray, shape (*batch,)
        Above -min sigma.
    directions : sequence of H ndarrays, shapes (*batch, *k_i)
        Filters of norm one, to 1e-8.
    invariants : array_like, shape (H-1,) or (*batch, H-1)

    Returns
    -------
    list of H ndarrays, shapes (*batch, *k_i)

    Raises
    ------
    InputError
        When t is too small, a direction is not of norm one, or shapes do not fit.

    Examples
    --------
    >>> [w.tolist() for w in from_warped_coordinates(LCN((2, 1)), 25, [[0.6, 0.8], [1]], [75])]
    [[3.0, 4.0], [10.0]]
    """
    p, theta, batch = as_packed(net, directions, "directions")
    off = np.abs(norms(p, theta) - 1).max(axis=0, initial=0)
    if (off > 1e-8).any():
        raise InputError(f"directions[{off.argmax()}]: expected norm one, got a norm that is off "
                         f"by {off.max():.1e}; divide the filter by its norm")
    t = as_real(t, "t")
    sigma = offsets(as_invariants(net, invariants, batch))
    fits_batch(t.shape, batch, "t", grow=False)
    squares = t[..., None] + sigma
    if (squares <= 0).any():
        raise InputError("t: expected more than -min sigma = "
                         f"{float(-sigma.min(axis=-1).flat[0]):.6g}, where a filter vanishes, got "
                         f"{float(t.flat[0]):.6g}; increase t")
    r = np.sqrt(squares).reshape(len(theta), net.depth)
    return p.unpack(theta * np.repeat(r, p.sizes, axis=1), batch)


def warped_velocity(net, filters, a, rtol=RTOL_TANGENT):
    """The velocities dt and du_i of a tangent vector in the warped coordinates.

    g_delta(a, a) = 1/4 sum_i dt^2/|w_i|^2 + sum_i |w_i|^2 |du_i|^2.

    Book: prop-09-flow.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
    a : ndarray, shape (*lead, *k)
        Tangent vector at v; leading axes broadcast against `batch`.
    rtol : float, optional
        Largest normal part of a, relative to its length.

    Returns
    -------
    dt : ndarray, shape (*broadcast(batch, lead),)
    du : list of H ndarrays, shapes (*broadcast(batch, lead), *k_i)
        Orthogonal to the directions u_i.

    Raises
    ------
    NotTangentError, SingularPointError, ZeroFilterError, InputError
        As in `inner`.

    Examples
    --------
    >>> dt, du = warped_velocity(LCN((2, 1)), [[1, 0], [2]], [5, 4])
    >>> round(float(dt), 12), [x.round(12).tolist() for x in du]
    (4.0, [[0.0, 2.0], [0.0]])
    """
    fr, (eta, g) = split_vectors(net, filters, rtol, a=a)
    return 2 * eta * fr.inverse_s, [x.reshape(x.shape[:-1] + k) for x, k in
                                    zip(g, net.filter_shapes)]


def distance_to_zero(net, filters):
    """The distance in g_delta from v to the zero filter.

    A curve from v to zero is at least as long as its
    part along dt, and the line of constant directions has no other part; so the
    distance is the integral of 1/2 sqrt(sum_i 1/(t + sigma_i)) dt from -min sigma.
    It is sqrt(H) |w_1| when the filters are balanced; norms that agree to rounding count
    as equal, since the distance changes like the square root of their difference.

    Book: prop-09-zero.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i), none of them zero

    Returns
    -------
    float, or ndarray, shape (*batch,)

    Raises
    ------
    ZeroFilterError
        When a filter is zero.

    Examples
    --------
    >>> round(distance_to_zero(LCN((2, 2)), [[3, 4], [0, 5]]) / 2**0.5, 12)
    5.0
    """
    radii, _ = polar(net, as_filters(net, filters))
    out = ray_length(radii)
    return out if out.ndim else float(out)
