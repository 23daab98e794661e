"""Arithmetic of polynomials in D variables: arrays of coefficients, entry j that of x^j."""

from math import prod

import numpy as np
import scipy

from ..errors import InputError

# Entries of the largest matrix that is made: less than a gigabyte.
MATRIX_LIMIT = 1e8


class TooLargeError(InputError):
    """Factoring takes more memory, or lists more answers, than allowed."""


def check_size(entries):
    if entries > MATRIX_LIMIT:
        raise TooLargeError(f"net: splitting v needs a matrix with {entries:.1e} entries, more "
                            f"than {MATRIX_LIMIT:.0e}; give lift a guess, or factor a smaller "
                            "network")


def upsample(p, strides):
    """Coefficients of p(x^s)."""
    out = np.zeros(tuple(1 + (n - 1) * s for n, s in zip(p.shape, strides)))
    out[tuple(slice(None, None, s) for s in strides)] = p
    return out


def multiply(p, q):
    """Product of two polynomials in the same variables."""
    product = convolution_matrix(p, q.shape) @ q.reshape(-1)
    return product.reshape([m + n - 1 for m, n in zip(p.shape, q.shape)])


def convolution_matrix(p, shape):
    """The matrix of q -> p q for q of the given shape; rows and columns in C order."""
    full = tuple(m + n - 1 for m, n in zip(p.shape, shape))
    rows = np.arange(prod(full)).reshape(full)
    corner = rows[tuple(map(slice, p.shape))].reshape(-1, 1)
    shifts = rows[tuple(map(slice, shape))].reshape(-1)
    out = np.zeros((prod(full), len(shifts)))
    out[corner + shifts, np.arange(len(shifts))] = p.reshape(-1, 1)
    return out


def scaled_values(p, x):
    """p(x) / max(1, |x|)^deg p, without overflow, for p in one variable."""
    size, k = np.maximum(1, np.abs(x))[..., None], np.arange(len(p))
    return ((x[..., None] / size) ** k * (1 / size) ** k[::-1]) @ p


def divide(parts, cofactors, shape):
    """The common factor g of the given shape with parts[c] = cofactors[c] g, least squares.

    Pointwise on the torus: g = sum conj(u_c) v_c / sum |u_c|^2.  The grid is turned by an angle
    that no root of unity has, because filters such as (1, 1) vanish at the usual grid points.
    """
    grid = tuple(map(max, zip(*(p.shape for p in parts))))
    turn = np.exp(0.7j * sum((a + 1) * n for a, n in enumerate(np.indices(grid))))

    def values(x):
        return scipy.fft.fftn(x * turn[tuple(map(slice, x.shape))], grid)

    top = sum(np.conj(values(u)) * values(v) for u, v in zip(cofactors, parts))
    bottom = sum(np.abs(values(u)) ** 2 for u in cofactors)
    g = scipy.fft.ifftn(top / np.maximum(bottom, 1e-28 * bottom.max())) / turn
    return np.ascontiguousarray(g.real[tuple(map(slice, shape))])
