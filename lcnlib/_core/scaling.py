"""Norms of packed filters, and the scaling fibre: the computation behind `rescale`."""

from decimal import Context, localcontext
from decimal import Decimal as D
from itertools import pairwise

import numpy as np

from ..errors import InputError, ZeroFilterError


def norms(p, theta):
    """Norms of all layers of packed filters (B, P), (B, H), safe from over- and underflow."""
    starts = p.offsets[:-1]
    top = np.maximum.reduceat(np.abs(theta), starts, axis=1)
    top[top == 0] = 1.0
    unit = theta / np.repeat(top, p.sizes, axis=1)
    return top * np.sqrt(np.add.reduceat(unit * unit, starts, axis=1))


def sharp_invariants(p, theta):
    """The invariants of packed filters (B, P) to the last digit, (B, H-1).

    Next to large filters with nearly equal norms rounding of the squares would be seen: a flow
    may end where the filters are small, and remembers the invariants.
    """
    with localcontext(Context(prec=50)):
        squares = [[sum(D(x) * D(x) for x in row[part]) for part in p.parts]
                   for row in theta.tolist()]
        out = [[float(b - a) for a, b in pairwise(row)] for row in squares]
    return np.array(out).reshape(len(theta), len(p.parts) - 1)


def to_invariants(p, theta, delta):
    """Packed filters (B, P) scaled to the invariants (B, H-1); those with a zero filter stay."""
    if len(p.parts) == 1:
        return theta
    with np.errstate(all="ignore"):
        factors = scaling_factors(norms(p, theta), delta)
    factors[~np.isfinite(factors).all(axis=1)] = 1.0  # a zero filter, or beyond double precision
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
    # Squared norms become rho^2 + d_i with rho > 0, d_i >= 0, some d_i = 0.  Norms, not their
    # squares: squares of 1e-155 would underflow.
    depth = norms.shape[-1]
    sigma = offsets(delta)
    root_d = np.sqrt(sigma - sigma.min(axis=-1, keepdims=True))
    rho = np.exp(np.log(norms).mean(axis=-1, keepdims=True))  # right of the root
    # The logarithm of the product of all factors is increasing and convex in log(rho): Newton from
    # the right falls monotonically onto the root; it crosses each of the H kinks at most once.
    for _ in range(8 * depth + 50):
        r = np.hypot(rho, root_d)
        # Logarithms of huge ratios would lose digits: exponents are summed as integers.
        mantissa, exponent = np.frexp(r / norms)
        product, shift = np.frexp(mantissa.prod(axis=-1, keepdims=True))
        exponent = exponent.sum(axis=-1, keepdims=True) + shift
        excess = np.log(np.ldexp(product, np.clip(exponent, -1000, 1000)))
        step = excess / ((rho / r) ** 2).sum(axis=-1, keepdims=True)
        rho = rho * np.exp(-step)
        if not (np.abs(step) > 1e-15 * depth).any():  # not a number, where a filter is zero
            break
    return np.hypot(rho, root_d) / norms


def fibre_factors(p, theta, delta, batch):
    """The same of packed filters (B, P), with words where there is none in double precision."""
    sizes = norms(p, theta)
    if not sizes.all():
        b, layer = np.argwhere(sizes == 0)[0]
        index = tuple(map(int, np.unravel_index(b, batch)))
        where = f" at batch index {index}" if batch else ""
        raise ZeroFilterError(f"filters[{layer}]: expected a non-zero filter, got zero{where}; "
                              "scaling cannot change the norm of a zero filter (Proposition 2 "
                              "needs every filter non-zero)")
    with np.errstate(all="ignore"):  # what leaves double precision is reported below
        factors = scaling_factors(sizes, delta)
    if not (np.isfinite(factors).all() and (factors >= np.finfo(float).tiny).all()):
        raise InputError("invariants: the scaling factors leave double precision; expected norms "
                         "and invariants between 1e-150 and 1e150 (squared for the invariants), "
                         f"got norms {sizes.reshape(*batch, -1)}")
    return factors
