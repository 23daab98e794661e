"""Distances in the metric g_delta, and the geodesics that have these lengths."""

from math import prod

import numpy as np

from ._core.checks import as_filters, same_batch
from ._core.connect import shortest
from ._core.plan import plan
from ._core.tangent import polar
from .errors import FlowError, InputError

# Invariants are the same up to this part of the largest squared norm: what users compute them to.
SAME_INVARIANTS = 1e-9


def distance(net, filters, other):
    """The distance in g_delta between two points of one sheet.

    A sheet is the level set of the invariants, where filters that differ by signs are one point:
    over one v there may be several points.  Curves may pass where dmu drops rank; so the
    distance in the smooth part of M is at least this one, and equal to it where such places
    take two conditions (all but the fold at stride one).

    When the invariants vanish the sheet is a cone, and the distance is exact: with the angles
    phi_i between the filters, Phi^2 = sum_i phi_i^2 / H and lengths R, R' of the rays,
    d^2 = R^2 + R'^2 - 2 R R' cos Phi.  Otherwise it is the length of a geodesic that joins the
    points, found by Newton's method: never less than the distance.  That no other geodesic
    is shorter is proved for the cone only; the tests compare with direct minimisation.

    Book: prop-09-cosines, prop-09-geodesics.

    Parameters
    ----------
    net : LCN
    filters, other : sequences of H ndarrays, shapes (*batch, *k_i)
        With the same invariants, to rounding.

    Returns
    -------
    float, or ndarray, shape (*batch,)
        Infinite between filters that no curve joins: where layers of size one differ in sign.

    Raises
    ------
    ZeroFilterError
        When a filter is zero.
    FlowError
        When Newton's method finds no geodesic.
    InputError
        When the invariants differ.

    See Also
    --------
    log_map : the geodesic that has this length.

    Examples
    --------
    Balanced filters; one of them turns by a quarter.

    >>> net = LCN((2, 2), strides=2)
    >>> round(distance(net, [[1, 0], [1, 0]], [[0, 1], [1, 0]]), 9)  # 2^(3/2) sin(pi / 32^(1/2))
    1.491286907
    """
    batch, _, lines = _lines(net, filters, other)
    out = np.array([line.length for line in lines]).reshape(batch)
    return out if batch else float(out)


def log_map(net, filters, other):
    """The initial tangent vector of the shortest geodesic to other filters of the same sheet.

    ``geodesic(net, filters, log_map(net, filters, other), 1.0)`` is end_to_end(other), and its
    length in g_delta is `distance`.

    Book: prop-09-cosines, prop-09-geodesics.

    Parameters
    ----------
    net : LCN
    filters, other : sequences of H ndarrays, shapes (*batch, *k_i)
        With the same invariants, to rounding.  Signs do not matter.

    Returns
    -------
    ndarray, shape (*batch, *k)
        Where several geodesics are shortest, one of them.

    Raises
    ------
    FlowError
        When the shortest way leads through the zero filter (one layer, opposite filters), or
        there is none; its `time` is the part of the way before the zero filter.
    ZeroFilterError, InputError
        As in `distance`.

    See Also
    --------
    distance : its length, and what is guaranteed.

    Examples
    --------
    >>> net, w = LCN((2, 1)), [[1, 0], [1]]
    >>> a = log_map(net, w, geodesic_filters(net, w, [0.5, 1.0], 0.7))
    >>> (a / 0.7).round(9).tolist()
    [0.5, 1.0]
    """
    batch, ws, lines = _lines(net, filters, other)
    for line in lines:
        if line.velocity is None:
            raise FlowError(
                "other: expected a point that a geodesic joins with that of filters, got one to "
                + ("which the shortest way leads through the zero filter, where the metric ends; "
                   "distance gives its length" if np.isfinite(line.length) else
                   "which there is no way: layers of size one differ in sign"),
                time=line.ray / line.length,
            )
    p = plan(net)
    theta = p.pack(ws)
    h = np.array([np.concatenate(line.velocity) for line in lines]).reshape(theta.shape)
    return p.jvp(theta, h).reshape(batch + net.end_to_end_shape)


def _lines(net, filters, other):
    """The batch axes, the filters, and for each pair of points the `Line` between them."""
    ws = as_filters(net, filters)
    others = as_filters(net, other, "other")
    batch = ws[0].shape[: -net.ndim]
    same_batch(others[0].shape[: -net.ndim], batch, "other")
    (r, u), (r2, u2) = polar(net, ws), polar(net, others)
    top = np.maximum(r.max(axis=-1), r2.max(axis=-1))[..., None]
    off = np.abs(np.diff((r / top) ** 2 - (r2 / top) ** 2, axis=-1)).max(initial=0.0)
    if off > SAME_INVARIANTS:
        raise InputError("other: expected the invariants of filters, got some that differ by "
                         f"{off:.1e} of the largest squared norm (allowed: "
                         f"{SAME_INVARIANTS:.0e}); move other along its fibre with rescale(net, "
                         "other, invariants(net, filters))")
    r, r2 = r.reshape(-1, net.depth), r2.reshape(-1, net.depth)
    u, u2 = ([x.reshape(-1, prod(k)) for x, k in zip(side, net.filter_shapes)] for side in (u, u2))
    return batch, ws, [shortest(r[b], [x[b] for x in u], r2[b], [x[b] for x in u2])
                       for b in range(len(r))]
