"""Norms of filters, and the scaling fibre: the computation behind `rescale`."""

import numpy as np


def norms(w, ndim):
    """Euclidean norms over the last `ndim` axes, safe from over- and underflow."""
    axes = tuple(range(-ndim, 0))
    scale = np.abs(w).max(axis=axes)
    safe = np.where(scale == 0, 1.0, scale)
    u = w / safe.reshape(safe.shape + (1,) * ndim)
    return scale * np.sqrt((u * u).sum(axis=axes))


def layer_norms(ws, ndim):
    """Norms of all layers, (*batch, H)."""
    return np.stack([norms(w, ndim) for w in ws], axis=-1)


def offsets(delta):
    """sigma_1 = 0 and sigma_i = delta_1 + ... + delta_{i-1}: (*batch, H-1) -> (*batch, H)."""
    zero = np.zeros((*delta.shape[:-1], 1))
    return np.concatenate([zero, np.cumsum(delta, axis=-1)], axis=-1)


def scaling_factors(norms, delta):
    """The positive tuple lambda of Proposition 2.

    Parameters
    ----------
    norms : ndarray, shape (*batch, H), positive
    delta : ndarray, shape (*batch, H-1)

    Returns
    -------
    ndarray, shape (*batch, H), positive, with product one
    """
    # Squared norms become x_i = tau + d_i with tau > 0, d_i >= 0, some d_i = 0.
    sigma = offsets(delta)
    d = sigma - sigma.min(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_d = np.log(d)
    goal = 2 * np.log(norms).sum(axis=-1, keepdims=True)
    z = goal / norms.shape[-1]  # right of the root, because log(e^z + d_i) >= z
    # f(z) = sum log(e^z + d_i) - goal is increasing and convex: Newton from the right falls
    # monotonically onto the root; it crosses each of the H kinks at most once.
    for _ in range(8 * norms.shape[-1] + 50):
        total = np.logaddexp(z, log_d)
        slope = np.exp(z - total).sum(axis=-1, keepdims=True)
        step = (total.sum(axis=-1, keepdims=True) - goal) / slope
        z = z - step
        if (np.abs(step) <= 1e-15 * np.maximum(1.0, np.abs(z))).all():
            break
    # Norms, not their squares, from here on: squares of 1e-155 would underflow.
    rho, root_d = np.exp(z / 2), np.sqrt(d)
    # Logarithms of huge ratios leave |z| * eps.  Newton steps on the product itself, its
    # exponents summed as integers, bring that down to a few eps.
    for _ in range(2):
        r = np.hypot(rho, root_d)
        mantissa, exponent = np.frexp(r / norms)
        product, shift = np.frexp(mantissa[..., :1])
        exponent = exponent.sum(axis=-1, keepdims=True) + shift
        for i in range(1, norms.shape[-1]):
            product, shift = np.frexp(product * mantissa[..., i : i + 1])
            exponent = exponent + shift
        excess = np.log(np.ldexp(product, np.clip(exponent, -1000, 1000)))
        rho = rho * np.exp(-excess / ((rho / r) ** 2).sum(axis=-1, keepdims=True))
    return np.hypot(rho, root_d) / norms


def scaled(ws, factors, ndim):
    """Each filter times its factor: `factors` (*batch, H)."""
    tail = (1,) * ndim
    return [w * factors[..., i].reshape(factors.shape[:-1] + tail) for i, w in enumerate(ws)]
