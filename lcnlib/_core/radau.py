"""The tables of collocation at Radau's points (Hairer and Wanner, Solving ODEs II, IV.5, IV.8)."""

from math import comb

import numpy as np
from numpy.polynomial import legendre

STAGES = 7


def _tables():
    """c; A^-1; rows for the last two Legendre coefficients of h y'; values -> Legendre."""
    s = STAGES
    difference = np.zeros(s + 1)
    difference[[s - 1, s]] = -1.0, 1.0
    x = np.sort(legendre.legroots(difference).real)
    for _ in range(3):
        x -= legendre.legval(x, difference) / legendre.legval(x, legendre.legder(difference))
    x[-1] = 1.0
    vander = legendre.legvander(x, s - 1)
    to_coefficients = np.linalg.inv(vander)
    integrals = [legendre.legval(x, legendre.legint(e, lbnd=-1)) / 2 for e in np.eye(s)]
    inverse = np.linalg.inv(np.stack(integrals, axis=1) @ to_coefficients)
    rows = to_coefficients[-2:] @ inverse
    # The polynomial through 0 at c = 0 and Z at c.
    through = np.linalg.inv(legendre.legvander(np.concatenate([[-1.0], x]), s))[:, 1:]
    return (x + 1) / 2, inverse, rows, through


C, A_INVERSE, TAIL, THROUGH = _tables()


def _continuation():
    """Row r^1 ... r^STAGES times this: the (STAGES, STAGES) matrix of the predictor, flat.

    It continues the last polynomial, from its end, over a step that is r times as long.  As
    P_n(1 + 2 x) = sum over j of comb(n, j) comb(n + j, j) x^j, it is a polynomial in r.
    """
    b = [[comb(n, j) * comb(n + j, j) for n in range(STAGES + 1)] for j in POWERS.tolist()]
    table = np.einsum("ij,jk->jik", C[:, None] ** POWERS, np.array(b, float) @ THROUGH)
    return table.reshape(STAGES, -1)


POWERS = np.arange(1, STAGES + 1)
CONTINUE = _continuation()


def _diagonal():
    """Eigenvalues of A^-1, one of each conjugate pair, and the real forms of V^-1 and of V."""
    values, v = np.linalg.eig(A_INVERSE)
    keep = values.imag > -1e-8
    v_inverse = np.linalg.inv(v)[keep]
    v = v[:, keep] * np.where(np.abs(values[keep].imag) < 1e-8, 1.0, 2.0)
    return (values[keep], np.concatenate([v_inverse.real, v_inverse.imag]),
            np.concatenate([v.real, -v.imag], axis=1))


LAMBDA, INTO, BACK = _diagonal()


def _solve():
    """Takes the parts of 1 / (LAMBDA / h + d), stacked, to the matrix (A^-1/h + d)^-1, flat."""
    r = len(LAMBDA)
    pair = np.einsum("ic,dj->cdij", BACK, INTO)
    one = np.arange(r)
    real = pair[one, one] + pair[one + r, one + r]
    imag = pair[one, one + r] - pair[one + r, one]
    return np.concatenate([real, imag]).reshape(2 * r, -1).T


SOLVE = _solve()


def polynomial(x):
    """Matrix from Z to the collocation polynomial at x, in steps: (*x.shape, STAGES)."""
    return legendre.legvander(2 * x - 1, STAGES) @ THROUGH
