"""The Riemannian metric g_delta of the neuromanifold."""

import numpy as np

from ._core.checks import as_filters, finite_result, quiet
from ._core.plan import plan
from ._core.solver import checked
from ._core.tangent import RTOL_TANGENT, frame, lifted, split_vectors


@quiet
def inner(net, filters, a, b, rtol=RTOL_TANGENT):
    """The inner product g_delta(a, b) = a^T K^+ b of two tangent vectors at v.

    K is never formed nor inverted: with
    d log(r_1 ... r_H) = eta and du_i = g_i along each vector, the closed form is
    g_delta(a, b) = eta_a eta_b / S + sum_i r_i^2 <g_{a,i}, g_{b,i}>, where
    r_i = |w_i| and S = sum_i r_i^-2.

    Book: def-metrics-metric, prop-09-closed-form.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
        They fix the point v and, by their norms, the invariants delta.
    a, b : ndarray, shapes (*lead, *k)
        Tangent vectors at v; leading axes broadcast against `batch` and each other.
    rtol : float, optional
        Largest normal part of a or b, relative to its length.

    Returns
    -------
    float, or ndarray of the broadcast leading shape

    Raises
    ------
    NotTangentError
        When a or b is not in the image of dmu.
    SingularPointError, ZeroFilterError
        When dmu drops rank at the filters, so that there is no metric.
    InputError
        When the inner product leaves double precision.

    Examples
    --------
    For k = (2, 1), M is the plane; with w = ((1, 0), 2), K is diag(5, 4).

    >>> net, w = LCN((2, 1)), [[1, 0], [2]]
    >>> round(inner(net, w, [1, 0], [1, 0]), 12), round(inner(net, w, [0, 1], [0, 1]), 12)
    (0.2, 0.25)
    """
    fr, (eta_a, g_a), (eta_b, g_b) = split_vectors(net, filters, rtol, a=a, b=b)
    # The squares of the radii may overflow where the product does not.
    out = (eta_a * fr.length) * (eta_b * fr.length)
    for i, (x, y) in enumerate(zip(g_a, g_b)):
        r = fr.radii[..., i, None]
        out = out + ((r * x) * (r * y)).sum(axis=-1)
    out = finite_result(out, "the inner product")
    return out if np.ndim(out) else float(out)


def horizontal_lift(net, filters, a, rtol=RTOL_TANGENT):
    """The shortest direction in parameter space that dmu maps to the tangent vector a.

    It is orthogonal to the scaling
    directions ker dmu, hence tangent to the level set of the invariants, and its
    Euclidean length is the length of a in g_delta.

    Book: cor-04-shortest, prop-09-isometry.

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
    list of H ndarrays, shapes (*broadcast(batch, lead), *k_i)

    Raises
    ------
    NotTangentError, SingularPointError, ZeroFilterError, InputError
        As in `inner`.

    Examples
    --------
    >>> [h.round(12).tolist() for h in horizontal_lift(LCN((2, 1)), [[1, 0], [2]], [5, 4])]
    [[2.0, 2.0], [1.0]]
    """
    fr, a = split_vectors(net, filters, rtol, a=a)
    h = lifted(fr, *a)
    return [x.reshape(x.shape[:-1] + k) for x, k in zip(h, net.filter_shapes)]


def tangent_basis(net, filters):
    """A basis of the tangent space T_v M = im dmu, orthonormal for the Euclidean product.

    Book: def-05-smooth.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)

    Returns
    -------
    ndarray, shape (*batch, dimension, *k)

    Raises
    ------
    SingularPointError, ZeroFilterError
        When dmu drops rank at the filters.

    Examples
    --------
    >>> tangent_basis(LCN((2, 2), strides=2), [[1, 2], [3, 1]]).shape
    (3, 4)
    """
    fr = frame(net, as_filters(net, filters))
    return fr.left.swapaxes(-1, -2).reshape((*fr.batch, net.dimension, *net.end_to_end_shape))


@quiet
def riemannian_gradient(net, filters, loss):
    """The gradient K grad l(v) of the loss on M for the metric g_delta.

    The end-to-end filter of a gradient flow moves by minus
    this vector.  The point is checked to be immersive; `ntk_apply` gives the same
    vector without that check for very large networks.

    Book: def-metrics-gradient, thm-06-riemannian-flow.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
    loss : object with a method ``gradient(v)``, such as `QuadraticLoss`

    Returns
    -------
    ndarray, shape (*batch, *k)

    Raises
    ------
    SingularPointError, ZeroFilterError
        When dmu drops rank at the filters.

    Examples
    --------
    >>> loss = QuadraticLoss([0, 4])
    >>> riemannian_gradient(LCN((2, 1)), [[1, 0], [2]], loss).round(12).tolist()
    [10.0, -16.0]
    """
    ws = as_filters(net, filters)
    shape = frame(net, ws).batch + net.end_to_end_shape
    p = plan(net)
    theta = p.pack(ws)
    v = finite_result(p.product(theta), "the end-to-end filter").reshape(shape)
    g = checked(loss, "gradient", v, shape)
    _, out = p.there_and_back(theta, g.reshape(len(theta), -1))
    return finite_result(out, "the result").reshape(shape)
