"""The nearest filter that a network can express."""

from dataclasses import dataclass

import numpy as np
import scipy

from ._algebra.tolerances import IN_M
from ._core.checks import as_end_to_end
from ._core.plan import plan
from ._core.scaling import norms, to_invariants
from .critical import critical_points, ed_degree
from .errors import InputError
from .losses import QuadraticLoss
from .network import random_filters

# Starts of Levenberg and Marquardt's method for each layer, and their precision.
STARTS = 8
PRECISION = 1e-15
# Up to this part of its largest entry v is its own reversal.
SYMMETRIC = 1e-6
# With at most so many critical points all of them are found, and compared with the best start.
CERTIFY = 64


@dataclass(frozen=True)
class Projection:
    """The nearest filter that was found.

    Attributes
    ----------
    end_to_end : ndarray, shape (*batch, *k)
    filters : list of H ndarrays, shapes (*batch, *k_i)
        With this product, all of one norm.
    distance : ndarray, shape (*batch,)
        In the norm of the weight.
    certified : ndarray of bool, shape (*batch,)
        True where all critical points over smooth points of M were found and the answer is the
        nearest of them; else it is the best of several starts, and the distance an upper bound.
    """

    end_to_end: np.ndarray
    filters: list
    distance: np.ndarray
    certified: np.ndarray


def project(net, v, weight=None, seed=0):
    """The nearest point of M to v, in the Euclidean norm or in that of a weight.

    Book: cor-02-nearest, prop-10-critical.

    Levenberg and Marquardt's method from several random starts; where reversing an axis leaves v
    alone, it leaves half of the starts alone, too.  Where the architecture has few critical points
    (strides above one), all of them are computed as well, and the answer is certified.

    Parameters
    ----------
    net : LCN
    v : ndarray, shape (*batch, *k)
    weight : ndarray, shape (|k|, |k|), optional
        Symmetric and positive definite; by default the identity.
    seed : int or numpy.random.Generator, optional
        Of the starts.

    Returns
    -------
    Projection

    See Also
    --------
    lift : the filters of a v that is in M
    critical_points : all of them, with what else is known

    Examples
    --------
    The nearest matrix of rank one keeps the larger singular value.

    >>> near = project(LCN((2, 2), strides=2), [3.0, 0.0, 0.0, 1.0])
    >>> abs(near.end_to_end).round(9).tolist(), round(float(near.distance), 9)
    ([3.0, 0.0, 0.0, 0.0], 1.0)
    """
    v = as_end_to_end(net, v)
    p = plan(net)
    starts = random_filters(net, seed, STARTS * net.depth)
    weight = QuadraticLoss(np.zeros(net.end_to_end_shape), weight).weight  # checked there
    root = _root(weight)
    batch, size = v.shape[: v.ndim - net.ndim], int(np.prod(net.end_to_end_shape))
    found = [_project_one(net, x, root, weight, starts) for x in v.reshape(-1, size)]
    theta, distance, certified = map(np.array, zip(*found))
    filters = p.unpack(theta, batch)
    product = p.product(theta).reshape(batch + net.end_to_end_shape)
    return Projection(product, filters, distance.reshape(batch), certified.reshape(batch))


def _root(weight):
    """R with R^T R = weight, or None."""
    if weight is None:
        return None
    try:
        return np.linalg.cholesky(weight).T
    except np.linalg.LinAlgError:
        raise InputError("weight: expected a symmetric positive definite matrix, got one with an "
                         "eigenvalue near zero; add a small multiple of the identity") from None


def _project_one(net, v, root, weight, starts):
    """Packed filters, distance and certificate for one v, of any scale."""
    scale = float(np.abs(v).max())
    if scale == 0.0:
        return np.zeros(net.n_parameters), 0.0, True
    target = v / scale
    p, best = plan(net), None
    unit = 1.0 if root is None else np.linalg.norm(root, 2)

    # All filters with one product are as near.  Of these, equal norms are asked for: otherwise
    # rounding alone would decide how far a step goes among them, and where the search ends.
    def off(theta):
        d = p.product(theta[None])[0] - target
        squares = np.add.reduceat(theta**2, p.offsets[:-1])
        return np.concatenate([d if root is None else root @ d, unit * np.diff(squares)])

    def slope(theta):
        j = p.jacobian(theta[None])[0]
        squares = np.add.reduceat(np.diag(2 * theta), p.offsets[:-1])
        return np.concatenate([j if root is None else root @ j, unit * np.diff(squares, axis=0)])

    complete, critical = _critical(net, target, weight)
    for start in [*critical, *_starts(p, starts, target.reshape(net.end_to_end_shape))]:
        done = scipy.optimize.least_squares(off, start, slope, method="lm",
                                            xtol=PRECISION, ftol=PRECISION,
                                            gtol=PRECISION, max_nfev=400)
        if best is None or done.cost < best.cost * (1 - 1e-9):
            best, from_critical = done, any(start is c for c in critical)
        if best.cost < IN_M * unit**2:
            break  # v is in M
    # A start that ends lower than every critical point says that one was missed.
    certified = best.cost < IN_M * unit**2 or (complete and from_critical)
    theta = _balanced(p, best.x[None])[0]
    if not norms(p, theta[None]).all():
        theta = np.zeros_like(theta)
    size = scale ** (1 / net.depth)
    distance = np.linalg.norm(off(theta)[: len(v)])
    return theta * size, float(distance) * scale, bool(certified)


def _starts(p, starts, v):
    """Packed starts (B, P), every second one kept by the reversals of single axes that keep v.

    A search from such filters stays among them, where it meets fewer valleys: filters that are
    reversed have the reversed product.  The largest entry of v is one.
    """
    starts = [w.copy() for w in starts]
    for axis in range(v.ndim):
        if np.allclose(v, np.flip(v, axis), rtol=0, atol=SYMMETRIC):
            for w in starts:
                w[::2] = (w[::2] + np.flip(w[::2], 1 + axis)) / 2
    return _balanced(p, p.pack(starts))


def _balanced(p, theta):
    """Packed filters (B, P) with the same products and equal norms."""
    return to_invariants(p, theta, np.zeros((len(theta), len(p.parts) - 1)))


def _critical(net, target, weight):
    """Whether all critical points are at hand, and the filters of the real ones."""
    try:
        if ed_degree(net) > CERTIFY:
            return False, []
        loss = QuadraticLoss(target.reshape(net.end_to_end_shape), weight)
        points = critical_points(net, loss)
    except InputError:  # a stride one, or a loss whose critical points are not isolated
        return False, []
    filters = [w[points.real].real for w in points.filters]
    p = plan(net)
    return points.complete, list(_balanced(p, p.pack(filters)) if len(points) else [])
