"""Composition of convolutions is multiplication of polynomials."""

from math import prod

import numpy as np
import scipy

from ._core.checks import as_filters, as_packed, as_real, finite_result, fits_batch, quiet
from .errors import InputError

# Above this many multiplications for each output, one FFT convolution is cheaper than windows.
DIRECT_LIMIT = 512


@quiet
def end_to_end(net, filters):
    """The end-to-end filter v = mu(filters): the product of the p_i(x^{S_i}).

    Book: thm-01-composition.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)

    Returns
    -------
    ndarray, shape (*batch, *k)
        Entry n is the coefficient of x^n, to rounding beside the largest that v can have.

    Examples
    --------
    (1 + 2x)(3 + x^2) = 3 + 6x + x^2 + 2x^3: the second layer sees x^2, the stride is two.

    >>> import numpy as np
    >>> end_to_end(LCN((2, 2), strides=2), [[1, 2], [3, 1]]).round(12).tolist()
    [3.0, 6.0, 1.0, 2.0]
    """
    p, theta, batch = as_packed(net, filters)
    v = finite_result(p.product(theta), "the end-to-end filter")
    return v.reshape(batch + net.end_to_end_shape)


@quiet
def cofactors(net, filters):
    """Coefficients of the cofactors c_i(x) = product over j != i of p_j(x^{S_j}).

    Multiplication by c_i is the differential of mu in layer i.

    Book: prop-04-flow, lem-speed-cofactors.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)

    Returns
    -------
    list of H ndarrays, shapes (*batch, *(k - (k_i - 1) S_i))

    Examples
    --------
    >>> [c.round(12).tolist() for c in cofactors(LCN((2, 2), strides=2), [[1, 2], [3, 1]])]
    [[3.0, 0.0, 1.0], [1.0, 2.0]]
    """
    p, theta, batch = as_packed(net, filters)
    c, k = finite_result(p.cofactors(theta), "a cofactor"), net.end_to_end_shape
    crops = [tuple(slice(n - (m - 1) * s) for n, m, s in zip(k, *layer))
             for layer in zip(net.filter_shapes, net.cumulative_strides)]
    return [ci.reshape(batch + k)[(..., *crop)].copy() for ci, crop in zip(c, crops)]


@quiet
def apply(net, filters, x):
    """The network's output: H strided cross-correlations on valid outputs, layer 1 first.

    Equal to the single convolution with filter
    `end_to_end` and stride ``net.end_to_end_stride``.

    Book: thm-01-composition, prop-speed-apply.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
    x : ndarray, shape (*lead, *d_0)
        Signals.  `lead` and `batch` broadcast against each other.

    Returns
    -------
    ndarray, shape (*broadcast(batch, lead), *d_H)
        d_i = (d_{i-1} - k_i) // s_i + 1 on each axis.

    Examples
    --------
    >>> apply(LCN((2, 2), strides=(2, 1)), [[1, 1], [1, -1]], [1, 2, 3, 4, 5, 6]).tolist()
    [-4.0, -4.0]
    """
    ws = as_filters(net, filters)
    x = as_real(x, "x")
    ndim = net.ndim
    need = net.end_to_end_shape
    if x.ndim < ndim or any(d < k for d, k in zip(x.shape[-ndim:], need)):
        raise InputError(f"x: expected {ndim} trailing axes of at least the end-to-end shape "
                         f"{need}, got shape {x.shape}; use longer signals or pad them")
    fits_batch(x.shape[:-ndim], ws[0].shape[:-ndim], "x")
    for w, s in zip(ws, net.strides):
        x = _layer(w, s, x, ndim)
    return finite_result(x, "the output")


def _layer(w, stride, x, ndim):
    """One strided cross-correlation on valid outputs; leading axes broadcast."""
    axes = tuple(range(-ndim, 0))
    step = (..., *(slice(None, None, s) for s in stride))
    if prod(w.shape[-ndim:]) > DIRECT_LIMIT:
        most = max(x.ndim, w.ndim)
        x, w = (a.reshape((1,) * (most - a.ndim) + a.shape) for a in (x, w))
        return scipy.signal.fftconvolve(x, np.flip(w, axes), mode="valid", axes=axes)[step]
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[-ndim:], axis=axes)
    windows = windows[(*step, *(slice(None),) * ndim)]
    out, inside = range(ndim), range(ndim, 2 * ndim)
    return np.einsum(windows, [..., *out, *inside], w, [..., *inside], [..., *out])
