"""Geodesics of the metric g_delta, distances, and parallel transport along them."""

from math import prod

import numpy as np
import scipy

from ._core.checks import as_filters, as_real, as_tangents, same_batch
from ._core.connect import connect
from ._core.orbit import Orbit
from ._core.plan import plan
from ._core.resultants import common_root_pairs, resultants
from ._core.tangent import (
    RTOL_TANGENT,
    components,
    frame,
    gaps,
    lifted,
    polar,
    radial_parts,
    ray_length,
)
from .errors import FlowError, InputError

__all__ = ["distance", "geodesic", "geodesic_filters", "log_map", "parallel_transport"]

# Larger ratios of norms overflow when squared.
MAX_RATIO = 1e100
# Angular velocities below this fraction of the others are rounding: such a filter does not turn.
NO_TURN = 1e-12
# Invariants are the same up to this part of the largest squared norm: what users compute them to.
SAME_INVARIANTS = 1e-9
# Points of each panel at which two filters are tested for a common root.
FOLD_POINTS = 32


def geodesic(net, filters, velocity, s, rtol=RTOL_TANGENT):
    """Points of M along the geodesic of g_delta from v with initial tangent `velocity`.

    The geodesic is mu of the curve that `geodesic_filters`
    returns; no differential equation is stepped, so the accuracy is that of rounding
    at every s.

    Book: prop-09-geodesics.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes k_i
        One set of filters (no batch axes); they fix v and the invariants.
    velocity : ndarray, shape k
        Tangent vector of M at v; its length in g_delta is the speed.
    s : float or ndarray, shape (*m,)
        Parameters in any order, negative ones included.
    rtol : float, optional
        Largest normal part of `velocity`, relative to its length.

    Returns
    -------
    ndarray, shape (*m, *k)

    Raises
    ------
    FlowError
        When the geodesic leaves the smooth part of M before one of the `s`: it runs into the zero
        filter, or onto the fold where two filters of equal stride get a common root.
        Its attribute ``time`` is the parameter at which that happens.
    NotTangentError
        When `velocity` is not in the image of dmu.
    SingularPointError, ZeroFilterError
        When dmu drops rank at the filters.
    InputError
        When shapes do not fit.

    Examples
    --------
    Balanced radial geodesics are the rays of a cone: here |v|^(1/2) decreases linearly.

    >>> net, w = LCN((2, 2), strides=2), [[1, 0], [0, 1]]
    >>> geodesic(net, w, [0, 0, -2, 0], [0, 0.5, -1])[:, 2].round(12).tolist()
    [1.0, 0.25, 4.0]
    """
    curve = _Curve(net, filters, velocity, rtol)
    s = as_real(s, "s")
    z, phi = curve.locate(s.reshape(-1))
    curve.check_folds(z, s.reshape(-1))
    p = plan(net)
    v = p.product(p.pack(curve.filters(z, phi)))
    return v.reshape(s.shape + net.end_to_end_shape)


def geodesic_filters(net, filters, velocity, s, rtol=RTOL_TANGENT):
    """Filters along the horizontal lift of the geodesic of `geodesic`.

    Each filter stays in the plane of w_i and its initial
    velocity, the invariants and the angular momenta are constant, and what remains
    is an integral of the common parameter t.  When the invariants vanish, the
    spheres' great circles share one angle, as in any metric cone.

    Book: prop-09-geodesics.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes k_i
    velocity : ndarray, shape k
    s : float or ndarray, shape (*m,)
    rtol : float, optional

    Returns
    -------
    list of H ndarrays, shapes (*m, *k_i)
        A geodesic of the level set of the invariants in parameter space.  It may cross
        parameters where dmu drops rank; `geodesic` stops there.

    Raises
    ------
    FlowError
        When a filter vanishes before one of the `s`; its attribute ``time`` says where.
    NotTangentError, SingularPointError, ZeroFilterError, InputError
        As in `geodesic`.

    Examples
    --------
    >>> net, w = LCN((2, 1)), [[1, 0], [1]]
    >>> [x.round(6).tolist() for x in geodesic_filters(net, w, [0, 1], [0, 1.0])]
    [[[1.0, 0.0], [0.789355, 0.936439]], [[1.0], [1.224745]]]
    """
    curve = _Curve(net, filters, velocity, rtol)
    s = as_real(s, "s")
    ws = curve.filters(*curve.locate(s.reshape(-1)))
    return [w.reshape(s.shape + k) for w, k in zip(ws, net.filter_shapes)]


def parallel_transport(net, filters, velocity, a, s, rtol=RTOL_TANGENT):
    """Tangent vectors of M carried along a geodesic by the connection of g_delta.

    In the orthonormal frame of the radial direction and the directions in which the filters
    turn, the parts (a_0, a_1 ... a_H) of a parallel vector obey

        a_0' = sum_i omega_i a_i,    a_i' = -omega_i a_0,    omega_i = phi_i' / (r_i sqrt(S)),

    with S = sum_j 1/r_j^2; what is orthogonal to them does not change at all.  So lengths and
    angles in g_delta stay, and the velocity of the geodesic is parallel.

    Book: prop-09-geodesics.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes k_i
        One set of filters (no batch axes).
    velocity : ndarray, shape k
        Tangent vector at v; the curve is that of `geodesic`.
    a : ndarray, shape (*lead, *k)
        The tangent vectors at v to carry.
    s : float or ndarray, shape (*m,)
        Parameters in any order, negative ones included.
    rtol : float, optional
        Largest normal part of `velocity` and of a, relative to their lengths.

    Returns
    -------
    ndarray, shape (*m, *lead, *k)
        Tangent vectors at ``geodesic(net, filters, velocity, s)``.

    Raises
    ------
    FlowError, NotTangentError, SingularPointError, ZeroFilterError, InputError
        As in `geodesic`.

    Examples
    --------
    The balanced metric of k = (2, 1) is a cone: this curve goes a fifth of a turn around its tip.

    >>> net, w = LCN((2, 1)), [[1, 0], [1]]
    >>> a = parallel_transport(net, w, [0, 1], [0, 1], [0, 1.0])
    >>> a[0].tolist(), [round(inner(net, x, b, b), 12) for x, b in zip(
    ...     ([[1, 0], [1]], [y[1] for y in geodesic_filters(net, w, [0, 1], [0, 1.0])]), a)]
    ([0.0, 1.0], [1.0, 1.0])
    """
    curve = _Curve(net, filters, velocity, rtol)
    (a,) = as_tangents(net, rtol, a=a)
    s = as_real(s, "s")
    lead = a.shape[: a.ndim - net.ndim]
    h = lifted(curve.frame, *components(net, curve.frame, a.reshape(-1, *a.shape[len(lead) :]),
                                        "a", rtol))
    z, phi = curve.locate(s.reshape(-1))
    curve.check_folds(z, s.reshape(-1))
    p = plan(net)
    theta = p.pack(curve.filters(z, phi))
    carried = curve.carry(z, phi, h)
    n = carried.shape[1]
    out = p.jvp(np.repeat(theta, n, axis=0), carried.reshape(-1, carried.shape[-1]))
    return out.reshape(s.shape + lead + net.end_to_end_shape)


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
        When shapes or invariants do not fit.

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
    ZeroFilterError
        When a filter is zero.
    InputError
        When shapes or invariants do not fit.

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
    """The batch axes, the filters, and for each pair of points the `_Line` between them."""
    ws = as_filters(net, filters)
    others = as_filters(net, other, "other")
    batch = ws[0].shape[: -net.ndim]
    same_batch(net, others[0], batch, "other")
    (r, u), (r2, u2) = polar(net, ws), polar(net, others)
    top = np.maximum(r.max(axis=-1), r2.max(axis=-1))
    with np.errstate(over="ignore"):
        squares, squares2 = (r / top[..., None]) ** 2, (r2 / top[..., None]) ** 2
    off = np.abs(np.diff(squares, axis=-1) - np.diff(squares2, axis=-1)).max(initial=0.0)
    if off > SAME_INVARIANTS:
        raise InputError(
            "other: expected the invariants of filters, got some that differ by "
            f"{off:.1e} of the largest squared norm (allowed: {SAME_INVARIANTS:.0e}); move other "
            "along its fibre with rescale(net, other, invariants(net, filters))"
        )
    flat = [[x.reshape(-1, prod(k)) for x, k in zip(side, net.filter_shapes)] for side in (u, u2)]
    r, r2 = r.reshape(-1, net.depth), r2.reshape(-1, net.depth)
    return batch, ws, [_Line(r[b], [x[b] for x in flat[0]], r2[b], [x[b] for x in flat[1]])
                       for b in range(len(r))]


class _Line:
    """The shortest way between two points: `length`, `ray` and the horizontal `velocity`.

    The signs of filters are free but for their product: all angles are at most a right one, but
    perhaps for one of them.  The distance grows with every angle, so no other choice can be
    shorter than the best of these.
    """

    def __init__(self, radii, units, end, others):
        scale = radii.min()
        sizes = np.array([len(u) for u in units])
        # What is measured at the smaller filters is known to more digits.
        small = radii if radii.min() <= end.min() else end
        a = gaps(small) * (small.min() / scale) ** 2
        end, radii = np.sqrt((end.min() / scale) ** 2 + a), np.sqrt(1 + a)
        rays = np.array([ray_length(radii), ray_length(end)])
        apart = [np.linalg.norm(x - y) for x, y in zip(units, others)]
        joint = [np.linalg.norm(x + y) for x, y in zip(units, others)]
        angles = 2 * np.arctan2(np.minimum(apart, joint), np.maximum(apart, joint))
        flips = np.greater(apart, joint)
        choices = [flips]
        if flips.sum() % 2:
            choices = [flips ^ (np.arange(len(flips)) == i) for i in range(len(flips))]
        self.length, self.velocity, self.ray = np.inf, None, scale * rays[0]
        for flip in choices:
            phi = np.where(flip == flips, angles, np.pi - angles)
            if (phi[sizes == 1] > 1).any():
                continue
            if len(phi) == 1 and phi[0] > np.pi * (1 - 1e-15):  # a flat space, a line through zero
                self.length = scale * rays.sum()
                continue
            x = connect(radii, end, phi, rays, balanced=not a.any())
            if x is None:
                raise FlowError(
                    "other: expected a point for which Newton's method finds a geodesic from "
                    f"filters, got angles {phi.round(4)} for which it does not; go there in two "
                    "steps, by a point between")
            if scale * np.linalg.norm(x) < self.length:
                self.length = scale * float(np.linalg.norm(x))
                self.velocity = [
                    scale * (x[0] * c * u + swing * _towards(u, -y if f else y))
                    for c, u, y, swing, f in zip(
                        radial_parts(radii), units, others, x[1:], flip)]


def _towards(u, end):
    """The unit vector orthogonal to u in which the great circle to `end` begins."""
    e = end - (u @ end) * u
    if np.linalg.norm(e) < 1e-14:  # at the point itself, or its opposite: any direction
        e = np.zeros_like(u)
        e[np.abs(u).argmin()] = 1.0
        e = e * (len(u) > 1)
    e = e - (u @ e) * u
    return e / (np.linalg.norm(e) or 1.0)


class _Curve:
    """The geodesic in lengths of the smallest filter and with speed one."""

    def __init__(self, net, filters, velocity, rtol):
        self.net = net
        ws = as_filters(net, filters)
        (velocity,) = as_tangents(net, rtol, velocity=velocity)
        fr = frame(net, ws)
        if fr.batch:
            raise InputError(
                f"filters: expected one set of filters without batch axes, got {fr.batch}; call "
                "geodesic for each"
            )
        if velocity.ndim != net.ndim:
            raise InputError(
                f"velocity: expected shape {net.end_to_end_shape}, got {velocity.shape}; call "
                "geodesic for each"
            )
        eta, g = components(net, fr, velocity, "velocity", rtol)
        h = lifted(fr, eta, g)
        speed = np.sqrt(sum((x * x).sum() for x in h))
        self.length = fr.radii.min()
        if fr.radii.max() > MAX_RATIO * self.length:
            raise InputError(
                f"filters: expected norms within a factor {MAX_RATIO:.0e} of each other, got "
                f"{fr.radii}; balance them more with rescale"
            )
        self.clock = speed / self.length  # unit-speed parameter of the scaled curve, per s
        safe = speed if speed > 0 else 1.0
        turn = np.array([np.linalg.norm(x) for x in g])
        turn[turn <= NO_TURN * max(abs(eta), turn.max())] = 0.0
        swing = fr.radii * turn / safe
        radial = eta * np.sqrt(fr.inverse_s) / safe
        self.orbit = Orbit(fr.radii / self.length, radial, swing)
        self.frame, self.units = fr, fr.units
        self.normals = [x / (n if (n := np.linalg.norm(x)) > 0 else 1.0) for x in g]

    def locate(self, s):
        """Positions z and angles phi at the parameters `s`, shape (n,)."""
        end = self.orbit.exit
        if end is not None:
            gone = s * self.clock * np.sign(end) >= abs(end)
            if gone.any():
                worst, time = s[gone][0], end / self.clock
                raise FlowError(
                    f"s: the geodesic runs into the zero filter at s = {time:.10g}, got "
                    f"s = {worst:.10g}; the metric is incomplete there: keep s on this side",
                    time=time,
                )
        return self.orbit.path(s * self.clock)

    def filters(self, z, phi):
        r = self.length * np.sqrt(self.orbit.tau(z)[:, None] + self.orbit.a)
        return [
            (r[:, i, None] * (np.cos(phi[:, i, None]) * u + np.sin(phi[:, i, None]) * e)).reshape(
                (-1, *k)
            )
            for i, (u, e, k) in enumerate(zip(self.units, self.normals, self.net.filter_shapes))
        ]

    def carry(self, z, phi, h):
        """Horizontal vectors h, H arrays (n, |k_i|), carried to m places: (m, n, n_parameters)."""
        turned = self.orbit.transport(z)  # (m, 1 + H, 1 + H)
        start, end = self.orbit.radial(np.array([self.orbit.z0]))[0], self.orbit.radial(z).T
        parts = turned @ np.stack([
            sum((x @ u) * c for x, u, c in zip(h, self.units, start)),
            *(x @ e for x, e in zip(h, self.normals))])  # (m, 1 + H, n)
        out = []
        for i, (x, u, e, c) in enumerate(zip(h, self.units, self.normals, end)):
            cos, sin = np.cos(phi[:, i, None]), np.sin(phi[:, i, None])
            rest = x - np.outer(x @ u, u) - np.outer(x @ e, e)
            out.append(rest + (c[:, None] * parts[:, 0])[..., None] * (cos * u + sin * e)[:, None]
                       + parts[:, 1 + i, :, None] * (cos * e - sin * u)[:, None])
        return np.concatenate(out, axis=-1)

    def check_folds(self, z, s):
        """FlowError when two filters in one variable get a common real root on the way.

        The curve in M is folded back there.  Every other loss of rank takes at least two
        conditions, which a geodesic misses unless it is sent there on purpose.
        """
        pairs = common_root_pairs(self.net)
        if not pairs or self.orbit.speed == 0:
            return
        for far in {int(s.argmax()), int(s.argmin())} if s.size else ():
            n = FOLD_POINTS * int(2 + abs(z[far] - self.orbit.z0))
            grid = np.linspace(self.orbit.z0, z[far], n)
            folds = [(self._first_root(pair, grid), pair) for pair in pairs if s[far] != 0]
            folds = [fold for fold in folds if np.isfinite(fold[0])]
            if folds:
                root, pair = min(folds, key=lambda fold: abs(fold[0] - self.orbit.z0))
                time = float(self.orbit.integrals(np.array([root]))[0, 0]) / self.clock
                raise FlowError(
                    f"s: filters {pair[0]} and {pair[1]} get a common root at s = {time:.10g}, "
                    "where dmu drops rank and the geodesic leaves the smooth part of M; keep "
                    "s on this side, or follow the curve with geodesic_filters",
                    time=time,
                )

    def _first_root(self, pair, grid):
        """The first sign change of the resultant on the grid, refined; inf without one."""
        sign = np.sign(self._resultant(pair, grid))
        change = np.flatnonzero(sign[:-1] * sign[1:] <= 0)
        if not change.size:
            return np.inf
        low, high = grid[change[0]], grid[change[0] + 1]
        if sign[change[0] + 1] == 0:
            return high
        return scipy.optimize.brentq(
            lambda z: self._resultant(pair, np.array([z]))[0], low, high, xtol=1e-14
        )

    def _resultant(self, pair, z):
        """Sylvester determinants of two filters, over that at the start, shape (n,)."""
        phi = np.concatenate([np.zeros((1, len(self.units))), self.orbit.integrals(z)[:, 1:]])
        p, q = (
            np.cos(phi[:, i, None]) * self.units[i] + np.sin(phi[:, i, None]) * self.normals[i]
            for i in pair
        )
        sign, log = resultants(p, q)
        return sign[1:] * np.exp(log[1:] - log[0])
