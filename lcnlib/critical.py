"""Critical points of a quadratic loss on the neuromanifold, and their number."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from math import comb, factorial, prod

import numpy as np

from ._algebra.homotopy import CriticalSystem, start_points, track
from ._algebra.newton import distinct
from ._algebra.tolerances import DEFINITE, REAL
from ._core.checks import as_net
from .errors import InputError, LCNError
from .losses import QuadraticLoss

# More paths than this take minutes.
MAX_PATHS = 2000
# A path that stops beyond this size (targets have size one) was on its way to infinity.
FAR = 1e3


@dataclass(frozen=True)
class CriticalPoints:
    """Critical points v != 0 of a quadratic loss on M, over the complex numbers.

    The real ones come first, in the order of their loss.

    Attributes
    ----------
    end_to_end : ndarray, shape (N, *k), complex
    filters : list of H ndarrays, shapes (N, *k_i), complex
        Filters of equal norms; real (zero imaginary parts) where the point is.
    real : ndarray of bool, shape (N,)
        Whether the point is one of real filters.
    loss : ndarray, shape (N,), complex
    index : ndarray of int, shape (N,)
        Number of negative eigenvalues of the Hessian on M of a real point: 0 at a local
        minimum.  The same for every metric; -1 for points that are not real.
    residual : ndarray, shape (N,)
        Last Newton step, relative to the filters.
    smoothness : ndarray, shape (N,)
        Least over largest singular value of dmu at norm-one filters: positive at an
        immersive point.
    ed_degree : int
        The number of points for a generic loss.
    at_infinity : int
        How many of them have gone to infinity for this loss.
    degenerate : int
        How many have run into critical points that are not isolated or multiple; these are
        not listed.
    """

    end_to_end: np.ndarray
    filters: list
    real: np.ndarray
    loss: np.ndarray
    index: np.ndarray
    residual: np.ndarray
    smoothness: np.ndarray
    ed_degree: int
    at_infinity: int
    degenerate: int

    def __len__(self):
        return len(self.real)

    @property
    def complete(self):
        """Whether every critical point v != 0 is listed: none is degenerate."""
        return self.degenerate == 0


def ed_degree(net):
    """The number of complex critical points of a generic quadratic loss on M, v = 0 excluded.

    Book: prop-02-segre, prop-10-critical.

    The generic Euclidean-distance degree of the Segre variety
    X = P^(|k_1|-1) x ... x P^(|k_H|-1), of dimension n,

        sum_{i=0}^{n} (-1)^i (2^(n+1-i) - 1) deg c_i(X),

    computed exactly from c(X) = prod (1 + h_j)^(|k_j|) and the hyperplane h_1 + ... + h_H.

    *Generic* speaks of the quadratic form A: for A = 1 there are 2 and not 6 for rank-one 2 x 2
    matrices, the terms of the singular value decomposition.

    When k_j <= s_j in every layer but the last, M is the cone over X in linear disguise.
    Otherwise M is a linear projection of that cone, which preserves the degree when its centre
    is general enough: known from the literature on D = 1, checked by `critical_points` in
    each case.

    Parameters
    ----------
    net : LCN
        Strides > 1 on every axis, except of the last layer and of layers of size one.

    Returns
    -------
    int

    Raises
    ------
    InputError
        When a stride is one: then M is not such a projection.

    Examples
    --------
    >>> ed_degree(LCN((2, 2), strides=2)), ed_degree(LCN((3, 2), strides=2))
    (6, 10)
    """
    _check_strides(net)
    dims = [prod(k) - 1 for k in net.filter_shapes]
    n, total = sum(dims), 0
    for chern in product(*(range(d + 1) for d in dims)):
        i = sum(chern)
        rest = [d - c for d, c in zip(dims, chern)]
        degree = factorial(n - i) // prod(map(factorial, rest))
        degree *= prod(comb(d + 1, c) for d, c in zip(dims, chern))
        total += (-1) ** i * (2 ** (n + 1 - i) - 1) * degree
    return total


def _check_strides(net):
    shapes = as_net(net).filter_shapes
    busy = [(s, i) for i, s in enumerate(net.cumulative_strides) if prod(shapes[i]) > 1]
    for (last, _), (s, i) in pairwise(busy):
        if any(m <= n for m, n in zip(s, last)):
            raise InputError("net: expected strides > 1 on every axis between layers that do more "
                             f"than scale, got cumulative strides {last} and then {s} in layer "
                             f"{i + 1}; with stride one several factorisations share one v, and no "
                             "count is known")


@lru_cache(maxsize=32)
def _start(net):
    return start_points(net, ed_degree(net), np.random.default_rng(20))


def critical_points(net, loss):
    """All complex critical points v != 0 of a quadratic loss on M, at immersive parameters.

    Book: prop-10-types, prop-10-critical.

    A generic complex loss and all its critical points are found once per architecture by
    monodromy loops, until their number is `ed_degree`; then the points are followed while that
    loss moves to the given one, and polished by Newton's method.  For a special loss fewer points
    arrive: with A = 1, the weight of white noise, most run off to infinity, and with stationary
    data some may.

    The parameters over v = 0 are not listed.  Those with two zero filters are
    critical for every loss, those with one only for special losses.  Generic
    losses have no critical points over singular v either; ``smoothness`` shows how
    far each point is from losing rank.

    Parameters
    ----------
    net : LCN
        As in `ed_degree`, small: the work grows with the degree.
    loss : QuadraticLoss
        With a positive definite weight and a non-zero target.

    Returns
    -------
    CriticalPoints

    Raises
    ------
    InputError
        When a stride is one, the degree exceeds 2000, or the loss does not qualify.

    Examples
    --------
    For A = 1 the critical rank-one matrices are the two terms of the SVD.

    >>> c = critical_points(LCN((2, 2), strides=2), QuadraticLoss([3.0, 0.0, 0.0, 1.0]))
    >>> c.ed_degree, c.at_infinity, c.index.tolist()
    (6, 4, [0, 1])
    >>> abs(c.end_to_end).round(9).tolist()
    [[3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    degree = ed_degree(net)
    if degree > MAX_PATHS:
        raise InputError(f"net: expected an ED degree of at most {MAX_PATHS}, got {degree}; use "
                         "smaller filters")
    quadric, scale = _normalised(net, loss)
    base, start = _start(net)
    if len(start) != degree:
        raise LCNError(f"net: monodromy found {len(start)} critical points of a generic loss where "
                       f"{degree} were expected; the architecture is too ill-conditioned for this "
                       "method")
    system = CriticalSystem(net)
    quadric = quadric[np.ix_(system.reached, [*system.reached, -1])]
    for care in (1.0, 5.0, 25.0):
        w, arrived = track(system, start, base, quadric, care)
        v = system.mu(w)
        keep = np.flatnonzero(arrived)[distinct(v[arrived])]
        far = int((np.linalg.norm(v[~arrived], axis=1) > FAR).sum())
        if len(keep) + far == degree:
            break  # no two paths have merged or got stuck
    return _record(net, system, w[keep], quadric, loss, scale, degree, far)


def _normalised(net, loss):
    """(A, -A v*) with |A| = |v*| = 1, and the scale of the filters."""
    if not isinstance(loss, QuadraticLoss):
        raise InputError(f"loss: expected a QuadraticLoss, got {type(loss).__name__}; only for "
                         "quadratic losses is the number of critical points known")
    target = loss.target
    if target.shape != net.end_to_end_shape:
        raise InputError(f"loss: expected a target of shape {net.end_to_end_shape}, got "
                         f"{target.shape}")
    size = np.linalg.norm(target)
    if size == 0:
        raise InputError("loss: expected a non-zero target; with target 0 only v = 0 is critical")
    a = np.eye(target.size) if loss.weight is None else loss.weight
    eigenvalues = np.linalg.eigvalsh(a)
    if eigenvalues[0] <= DEFINITE * eigenvalues[-1]:
        raise InputError("loss: expected a positive definite weight, got eigenvalues from "
                         f"{eigenvalues[0]:.3g} to {eigenvalues[-1]:.3g}; its critical points need "
                         "not be isolated: use more data, or add a small multiple of the identity")
    a = a / eigenvalues[-1]
    quadric = np.column_stack([a, -a @ target.reshape(-1) / size]).astype(complex)
    return quadric, size ** (1 / net.depth)


def _record(net, system, w, quadric, loss, scale, degree, far):
    real, w = _real_filters(system, w)
    for _ in range(3):
        w = w + system.step(w, quadric)
        w[real] = w[real].real
    w = system.balance(w)
    step = np.linalg.norm(system.step(w, quadric), axis=1) / np.linalg.norm(w, axis=1)
    v = system.mu(w) @ np.eye(loss.target.size)[system.reached] * scale**net.depth
    v[real] = v[real].real
    rest = v - loss.target.reshape(-1)
    weight = np.eye(loss.target.size) if loss.weight is None else loss.weight
    values = 0.5 * np.einsum("ni,ij,nj->n", rest, weight, rest)
    jac = system.jacobian(w)
    # The scaling directions have positive eigenvalues of their own.
    hessians = system.derivative(w, quadric, jac).real
    index = np.where(real, (np.linalg.eigvalsh(hessians) < 0).sum(axis=1), -1)
    s = np.linalg.svd(jac, compute_uv=False)
    # Conjugate pairs tie but for rounding.
    level = np.round(values / max(np.abs(values).max(initial=0), np.finfo(float).tiny), 9)
    order = np.lexsort((values.imag, abs(level.imag), level.real, ~real))
    w, v = w[order] * scale, v[order].reshape(len(w), *net.end_to_end_shape)
    filters = [w[:, part].reshape(-1, *k) for part, k in zip(system.parts, net.filter_shapes)]
    smoothness = s[:, net.dimension - 1] / s[:, 0]
    return CriticalPoints(
        v, filters, real[order], values[order], index[order], step[order], smoothness[order],
        ed_degree=degree, at_infinity=far, degenerate=degree - far - len(w))


def _real_filters(system, w):
    """Which points are real up to phases of their filters, and these without the phases.

    A filter is real times a phase when |<w, w>|, without conjugation, is |w|^2.  The product of
    the phases is real, because v^T A v = v^T A v*.  The largest entries become positive, but for
    the first layer's, which takes the sign of v.
    """
    layers = [w[:, part] for part in system.parts]
    real = np.all([abs((x * x).sum(axis=1)) >= (1 - REAL) * (abs(x) ** 2).sum(axis=1)
                   for x in layers], axis=0)
    tops = [np.take_along_axis(x, abs(x).argmax(axis=1)[:, None], axis=1)[real] for x in layers]
    phases = np.concatenate([top / abs(top) for top in tops], axis=1)
    phases[:, 0] *= np.sign(phases.prod(axis=1).real)
    w[real] = (w[real] / np.repeat(phases, system.sizes, axis=1)).real
    return real, w
