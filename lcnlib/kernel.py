"""The differential of mu and its neural tangent kernel."""

from math import prod
from numbers import Real

import numpy as np

from ._core.checks import as_end_to_end, as_packed, finite_result, quiet, same_batch
from ._core.scaling import norms
from .errors import InputError


@quiet
def jacobian(net, filters):
    """The Jacobian dmu = (T_1 | ... | T_H): column (i, j) is the cofactor c_i shifted by S_i j.

    Book: prop-04-flow, prop-04-kernel-of-dmu.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)

    Returns
    -------
    ndarray, shape (*batch, |k|, n_parameters)
        Columns in layer order, C order inside a layer; rows in C order.

    Examples
    --------
    >>> jacobian(LCN((2, 2), strides=2), [[1, 2], [3, 1]]).round(12).astype(int).tolist()
    [[3, 0, 1, 0], [0, 3, 2, 0], [1, 0, 0, 1], [0, 1, 0, 2]]
    """
    p, theta, batch = as_packed(net, filters)
    j = finite_result(p.jacobian(theta), "the Jacobian")
    return j.reshape(batch + j.shape[1:])


@quiet
def ntk(net, filters):
    """The neural tangent kernel K = dmu dmu^T, as a dense matrix.

    Gradient flow moves v by -K grad l(v).

    Book: prop-04-flow.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)

    Returns
    -------
    ndarray, shape (*batch, |k|, |k|)
        Symmetric and positive semidefinite.

    Examples
    --------
    >>> ntk(LCN((2, 1)), [[1, 0], [2]]).round(12).tolist()
    [[5.0, 0.0], [0.0, 4.0]]
    """
    p, theta, batch = as_packed(net, filters)
    j = finite_result(p.jacobian(theta), "the Jacobian")
    k = j @ j.transpose(0, 2, 1)  # symmetric rank-k updates: exactly symmetric
    # K is positive semidefinite: its diagonal bounds all other entries.
    finite_result(k.diagonal(axis1=1, axis2=2), "the kernel")
    return k.reshape(batch + k.shape[1:])


@quiet
def jvp(net, filters, directions):
    """The differential applied to a parameter direction, without forming the Jacobian.

    Book: prop-04-flow.

    Parameters
    ----------
    net : LCN
    filters, directions : sequences of H ndarrays, shapes (*batch, *k_i)

    Returns
    -------
    ndarray, shape (*batch, *k)

    Examples
    --------
    Moving every filter along itself moves v by H v (Euler).

    >>> net, w = LCN((2, 2)), [[1, 2], [3, 1]]
    >>> jvp(net, w, w).round(12).tolist(), end_to_end(net, w).round(12).tolist()
    ([6.0, 14.0, 4.0], [3.0, 7.0, 2.0])
    """
    p, theta, batch = as_packed(net, filters)
    _, direction, lead = as_packed(net, directions, "directions")
    same_batch(lead, batch, "directions")
    out = finite_result(p.jvp(theta, direction), "the result")
    return out.reshape(batch + net.end_to_end_shape)


@quiet
def vjp(net, filters, covector):
    """The transposed differential applied to a covector, without forming the Jacobian.

    Layer i receives T_i^T covector.

    Book: prop-04-flow.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
    covector : ndarray, shape (*batch, *k)

    Returns
    -------
    list of H ndarrays, shapes (*batch, *k_i)

    Examples
    --------
    >>> [g.round(12).tolist() for g in vjp(LCN((2, 2)), [[1, 2], [3, 1]], [1, 1, 1])]
    [[4.0, 4.0], [3.0, 3.0]]
    """
    p, theta, batch, g = _with_covector(net, filters, covector)
    return p.unpack(finite_result(p.vjp(theta, g), "the result"), batch)


@quiet
def ntk_apply(net, filters, covector):
    """K covector, without forming K or the Jacobian.

    Book: prop-04-flow, lem-speed-cofactors.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
    covector : ndarray, shape (*batch, *k)

    Returns
    -------
    ndarray, shape (*batch, *k)

    Examples
    --------
    >>> ntk_apply(LCN((2, 1)), [[1, 0], [2]], [1, 1]).round(12).tolist()
    [5.0, 4.0]
    """
    p, theta, batch, g = _with_covector(net, filters, covector)
    _, out = p.there_and_back(theta, g)
    return finite_result(out, "the result").reshape(batch + net.end_to_end_shape)


def _with_covector(net, filters, covector):
    p, theta, batch = as_packed(net, filters)
    g = as_end_to_end(net, covector, "covector")
    same_batch(g.shape[: -net.ndim], batch, "covector")
    return p, theta, batch, g.reshape(len(theta), prod(p.shape))


@quiet
def rank(net, filters, rtol=None):
    """Numerical rank of the differential dmu.

    It is ``net.dimension`` at an immersive point, less at others.
    The rank does not change when a filter is scaled, so filters are scaled to
    norm one first: very different norms then do no harm.

    Book: thm-04-rank, def-04-immersive.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
    rtol : float, optional
        Singular values below `rtol` times the largest count as zero; by default
        the machine epsilon times the larger side of the Jacobian.

    Returns
    -------
    int, or ndarray of ints, shape (*batch,)

    Raises
    ------
    InputError
        When `filters` do not fit `net`, or `rtol` is not in [0, 1).

    Examples
    --------
    (1 + x)(1 + x) has a repeated root at stride one, so the differential drops rank.

    >>> rank(LCN((2, 2)), [[1, 1], [1, 2]]), rank(LCN((2, 2)), [[1, 1], [1, 1]])
    (3, 2)
    """
    p, theta, batch = as_packed(net, filters)
    if rtol is not None and not (isinstance(rtol, Real) and 0 <= rtol < 1):
        raise InputError(f"rtol: expected a number in [0, 1), got {rtol!r}")
    sizes = norms(p, theta)
    sizes[sizes == 0] = 1.0
    j = finite_result(p.jacobian(theta / np.repeat(sizes, p.sizes, axis=1)), "the Jacobian")
    s = np.linalg.svd(j, compute_uv=False)
    tol = np.finfo(float).eps * max(j.shape[1:]) if rtol is None else rtol
    r = (s > tol * s[:, :1]).sum(axis=1)
    return r.reshape(batch) if batch else int(r[0])
