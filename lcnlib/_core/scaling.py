"""Norms of filters, and the scaling fibre: the computation behind `rescale`."""

from math import fsum

import numpy as np

from ..errors import InputError, ZeroFilterError


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


def packed_norms(p, theta):
    """Norms of all layers of packed filters (B, P), (B, H)."""
    top = np.abs(theta).max(axis=1, keepdims=True, initial=0.0)
    top[top == 0] = 1.0
    return top * np.sqrt(np.add.reduceat((theta / top) ** 2, p.offsets[:-1], axis=1))


def sharp_invariants(p, theta):
    """The invariants of packed filters (B, P) to the last digit, (B, H-1).

    Next to large filters with nearly equal norms rounding of the squares would be seen: a flow
    may end where the filters are small, and remembers the invariants.
    """
    c = 134217729.0 * theta  # Dekker: the rounding error of each square
    high = c - (c - theta)
    low = theta - high
    square = theta * theta
    rest = ((high * high - square) + 2 * high * low) + low * low
    if not np.isfinite(rest).all():
        rest = np.zeros_like(rest)
    out = np.empty((len(theta), len(p.parts) - 1))
    for i, (a, b) in enumerate(zip(p.parts[:-1], p.parts[1:])):
        terms = np.concatenate([square[:, b], rest[:, b], -square[:, a], -rest[:, a]], axis=1)
        out[:, i] = [fsum(row) for row in terms.tolist()]
    return out


def to_invariants(p, theta, delta):
    """Packed filters (B, P) scaled to the invariants (B, H-1); those with a zero filter stay."""
    if theta.shape[1] == 0 or len(p.parts) == 1:
        return theta
    sizes = packed_norms(p, theta)
    alive = (sizes > 0).all(axis=1)
    factors = np.ones_like(sizes)
    with np.errstate(all="ignore"):
        factors[alive] = scaling_factors(sizes[alive], delta[alive])
    factors[~np.isfinite(factors).all(axis=1)] = 1.0  # beyond double precision
    return theta * np.repeat(factors, p.sizes, axis=1)


def along_the_level(p, theta, velocity):
    """The velocity of packed filters without what rounding adds across the level set, in place.

    All <w_i, dw_i/dt> are one number.  What is left of their rounding next to large filters would
    make a solver take smaller and smaller steps.
    """
    ends = p.offsets[:-1]
    push = np.add.reduceat(theta * velocity, ends, axis=1)
    excess = (push.mean(axis=1, keepdims=True) - push) / np.add.reduceat(theta**2, ends, axis=1)
    excess[~np.isfinite(excess)] = 0.0  # of a zero filter, or beyond double precision
    velocity += np.repeat(excess, p.sizes, axis=1) * theta
    return velocity


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


def fibre_factors(ws, delta, ndim):
    """The same of filters (*batch, *k_i), with words where there is none in double precision."""
    norms = layer_norms(ws, ndim)
    if not norms.all():
        index = [int(n) for n in np.argwhere(norms == 0)[0]]
        where = f" at batch index {tuple(index[:-1])}" if index[:-1] else ""
        raise ZeroFilterError(
            f"filters[{index[-1]}]: expected a non-zero filter, got zero{where}; scaling cannot "
            "change the norm of a zero filter (Proposition 2 needs every filter non-zero)"
        )
    with np.errstate(all="ignore"):  # what leaves double precision is reported below
        factors = scaling_factors(norms, delta)
    if not (np.isfinite(factors).all() and (factors >= np.finfo(float).tiny).all()):
        raise InputError(
            "invariants: the scaling factors leave double precision; expected norms and "
            f"invariants between 1e-150 and 1e150 (squared for the invariants), got norms {norms}"
        )
    return factors


def scaled(ws, factors, ndim):
    """Each filter times its factor: `factors` (*batch, H)."""
    tail = (1,) * ndim
    return [w * factors[..., i].reshape(factors.shape[:-1] + tail) for i, w in enumerate(ws)]
