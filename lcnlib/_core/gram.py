"""The Jacobian and the kernel K = J J^T as matrices, from the coefficients of the cofactors (S4).

Column (i, j) of J is the cofactor c_i shifted by S_i j, so J consists of windows.  Of K only
the half above the diagonal is computed, and mirrored.  In one dimension, with R a multiple of
all strides,

    K[a + R, b + R] - K[a, b] = sum over i and j of +- c_i[a + R - S_i j] c_i[b + R - S_i j]

has only the min(R / S_i, k_i) shifts that enter and as many that leave: every band is the one
above it, moved by R, plus a product of low rank.
"""

from math import prod

import numpy as np

# Up to this many entries a table of indices builds the Jacobian in the fewest calls.
GATHER_LIMIT = 1 << 14
# Up to this many end-to-end coefficients one matrix product for a whole batch is quickest.
PRODUCT_LIMIT = 192
# Columns that are mirrored at a time.
STRIP = 64
# At least so many rows in a band of the recursion.
STEP = 8
# The recursion must save this much of the rank, because it adds a pass over K.
SAVING = 0.5


def jacobians(p, c):
    """Jacobians (B, |k|, P) from the cofactors' coefficients (H, B, |k|) and the plan p."""
    depth, b, n = c.shape
    if b * n * p.offsets[-1] > GATHER_LIMIT:
        return _windows(p, c).transpose(0, 2, 1)
    flat = np.zeros((b, depth * n + 1))  # the last entry stays zero
    flat[:, :-1].reshape(b, depth, n)[...] = c.transpose(1, 0, 2)
    return flat[:, p.jacobian_index] if b != 1 else flat[0][p.jacobian_index][None]


def _windows(p, c):
    """Transposed Jacobians (B, P, |k|): row (i, j) is a window of c_i after a margin of zeros."""
    b, net = c.shape[1], p.net
    out = np.empty((b, p.offsets[-1], prod(p.shape)))
    for ci, part, k, s in zip(c, p.parts, net.filter_shapes, net.cumulative_strides):
        margin = tuple((m - 1) * d for m, d in zip(k, s))
        padded = np.zeros((b, *(m + n for m, n in zip(margin, p.shape))))
        padded[(slice(None), *(slice(m, None) for m in margin))] = ci.reshape(b, *p.shape)
        first, *steps = padded.strides
        offset = sum(m * t for m, t in zip(margin, steps))
        back = tuple(-d * t for d, t in zip(s, steps))
        view = np.ndarray((b, *k, *p.shape), float, padded, offset, (first, *back, *steps))
        out[:, part].reshape(b, *k, *p.shape)[...] = view
    return out


def kernels(p, c):
    """K (B, |k|, |k|), exactly symmetric, from the cofactors' coefficients (H, B, |k|)."""
    _, b, n = c.shape
    if recurs(p):
        one = _recursion
    elif n > PRODUCT_LIMIT or b == 1:
        one = _product
    else:
        j = jacobians(p, c)
        k = j @ j.transpose(0, 2, 1)
        k += k.transpose(0, 2, 1).copy()
        k *= 0.5
        return k
    out = np.empty((b, n, n))
    for i in range(b):
        one(p, c[:, i : i + 1], out[i])
    return out


def _product(p, c, out):
    j = jacobians(p, c)[0]
    np.matmul(j, j.T, out=out)  # one symmetric rank-k update: exactly symmetric


def recurs(p):
    """Whether the kernel goes by the recursion."""
    large = prod(p.shape) > PRODUCT_LIMIT
    return large and _rank(p, _step(p)) < SAVING * p.offsets[-1]


def _step(p):
    """R: a multiple of the largest stride, hence of all."""
    s = p.net.cumulative_strides[-1][0]
    return s * -(-STEP // s)


def _rank(p, step):
    """Rank of the products in the recursion; infinite where it does not apply."""
    net = p.net
    if net.ndim > 1:
        return np.inf
    return 2 * sum(
        min(step // s, k) for (k,), (s,) in zip(net.filter_shapes, net.cumulative_strides)
    )


def _recursion(p, c, out):
    step, n = _step(p), len(out)
    enter, leave = [], []
    for ci, (k,), (s,) in zip(c[:, 0], p.net.filter_shapes, p.net.cumulative_strides):
        r = step // s
        margin = (k + r) * s
        padded = np.concatenate([np.zeros(margin), ci])
        for rows, start in ((enter, 0), (leave, max(r, k))):
            offset, strides = 8 * (margin - start * s), (-8 * s, 8)
            rows.append(np.ndarray((min(r, k), n), float, padded, offset, strides))
    right = np.concatenate(enter + leave)
    left = np.ascontiguousarray(right.T)
    right[len(right) // 2 :] *= -1
    out[:step] = left[:step] @ right
    for a in range(step, n, step):
        e = min(n, a + step)
        above = out[a - step : e - step, a - step : n - step]
        np.add(left[a:e] @ right[:, a:], above, out=out[a:e, a:])
    _mirror(out)


def _mirror(out):
    """Copy what is above the diagonal below it, in strips, which memory likes better than rows."""
    for a in range(0, len(out), STRIP):
        e = a + STRIP
        square = out[a:e, a:e]
        square[...] = np.triu(square) + np.triu(square, 1).T
        out[e:, a:e] = out[a:e, e:].T
