"""Arithmetic of polynomials in D variables: arrays of coefficients, entry j that of x^j."""

from math import prod

import numpy as np

from ..errors import InputError

# Entries of the largest matrix that is made: less than a gigabyte.
MATRIX_LIMIT = 1e8


class TooLargeError(InputError):
    """Factoring takes more memory, or lists more answers, than allowed."""


def check_size(entries):
    if entries > MATRIX_LIMIT:
        raise TooLargeError(
            f"net: splitting v needs a matrix with {entries:.1e} entries, more than "
            f"{MATRIX_LIMIT:.0e}; give lift a guess, or factor a smaller network"
        )


def upsample(p, strides):
    """Coefficients of p(x^s)."""
    out = np.zeros(tuple(1 + (n - 1) * s for n, s in zip(p.shape, strides)))
    out[tuple(slice(None, None, s) for s in strides)] = p
    return out


def multiply(p, q):
    """Product of two polynomials in the same variables."""
    if p.ndim == 1:
        return np.convolve(p, q)
    if p.size > q.size:
        p, q = q, p
    out = np.zeros(tuple(m + n - 1 for m, n in zip(p.shape, q.shape)))
    for j in np.ndindex(*p.shape):
        out[tuple(slice(i, i + n) for i, n in zip(j, q.shape))] += p[j] * q
    return out


def convolution_matrix(p, shape):
    """Matrices of q -> p q for q of the given shape; rows and columns in C order.

    Axes of p before the last ones, as many as `shape` has, are a batch.
    """
    lead, own = p.shape[: p.ndim - len(shape)], p.shape[p.ndim - len(shape) :]
    full = tuple(m + n - 1 for m, n in zip(own, shape))
    rows = np.arange(prod(full)).reshape(full)
    corner = rows[tuple(slice(0, n) for n in own)].reshape(-1)
    shifts = rows[tuple(slice(0, n) for n in shape)].reshape(-1)
    out = np.zeros((*lead, prod(full), prod(shape)))
    out[..., corner[:, None] + shifts, np.arange(shifts.size)] = p.reshape(*lead, -1, 1)
    return out


def divide(parts, cofactors, shape):
    """The common factor g of the given shape with parts[c] = cofactors[c] g, least squares.

    Axes before the last ones, as many as `shape` has, are a batch.

    Pointwise on the torus: g = sum conj(u_c) v_c / sum |u_c|^2.  The grid is turned by an angle
    that no root of unity has, because filters such as (1, 1) vanish at the usual grid points.
    """
    axes = tuple(range(-len(shape), 0))
    grid = tuple(max(p.shape[a] for p in parts) for a in axes)
    turn = 1.0
    for a, n in enumerate(grid):
        turn = np.multiply.outer(turn, np.exp(0.7j * (a + 1) * np.arange(n)))
    top, bottom = 0.0, 0.0
    for v, u in zip(parts, cofactors):
        u_hat, v_hat = (
            np.fft.fftn(x * turn[tuple(slice(0, x.shape[a]) for a in axes)], grid, axes)
            for x in (u, v)
        )
        top = top + np.conj(u_hat) * v_hat
        bottom = bottom + np.abs(u_hat) ** 2
    least = 1e-28 * bottom.max(axis=axes, keepdims=True)
    g = np.fft.ifftn(top / np.maximum(bottom, least), axes=axes) / turn
    return np.ascontiguousarray(g.real[(..., *(slice(0, n) for n in shape))])
