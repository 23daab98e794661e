"""Symmetric matrices, and all pairs of matrices with one product and one difference of Gram's."""

import numpy as np

from ..errors import SingularPointError

LARGEST_TURN = 0.1  # of log G in one step: small enough to stay near the path of the proof
STEPS = 2000


def kron(a, b):
    """The matrix of Z -> a Z b for symmetric a and b."""
    k = np.einsum("...ac,...bd->...abcd", a, b)
    n = a.shape[-1] * b.shape[-1]
    return k.reshape(*k.shape[:-4], n, n)


def from_spectrum(u, values):
    """sum of values_i u_i u_i^T over the first columns of u."""
    u = u[..., : values.shape[-1]]
    return (u * values[..., None, :]) @ u.mT


def root(a, power):
    """A power of symmetric positive definite matrices."""
    x, u = np.linalg.eigh(a)
    return from_spectrum(u, x**power)


def turned_pairs(first, second, turns):
    """The pairs (G W_1, W_2 G^-1), (*batch, h, n) and (*batch, m, h), with the same Delta.

    The condition on Delta is followed from the balanced pair turned by `turns`, (*batch, h, h),
    along the direction that is symmetric.
    """
    size = max(np.linalg.norm(first), np.linalg.norm(second))
    p, q = second.T @ second / size**2, first @ first.T / size**2
    delta, half = p - q, root(q, 0.5)
    x = root(q, -0.5) @ root(half @ p @ half, 0.5) @ root(q, -0.5)  # P = X Q X: balanced
    g = turns @ root(x, 0.5)
    for _ in range(STEPS):
        inverse = np.linalg.inv(g)
        mine, his = inverse.mT @ p @ inverse, g @ q @ g.mT
        gap = mine - his - delta
        total, u = np.linalg.eigh(mine + his)
        # The symmetric E with E M + M E = gap: one Newton step for G -> exp(E) G.
        e = (u.mT @ gap @ u) / (total[..., :, None] + total[..., None, :])
        e = u @ e @ u.mT
        length = np.linalg.norm(e, axis=(-2, -1), keepdims=True)
        if (length < 1e-13).all():
            break
        y, v = np.linalg.eigh((e + e.mT) / 2 * np.minimum(1, LARGEST_TURN / (length + 1e-300)))
        g = from_spectrum(v, np.exp(y)) @ g
        if (length < 1e-9).all():
            break
    else:
        raise SingularPointError("weights: expected matrices of full rank, far from losing it; the "
                                 f"condition on Delta was not met in {STEPS} steps")
    return [g @ first, second @ np.linalg.inv(g)]
