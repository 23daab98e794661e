"""Polyphase components and their common factor: one layer is split off by linear algebra.

p_1(x) r(x^s) has the polyphase components v_c = p_{1,c} r, one for each residue c modulo s.  So r
is a common factor of the v_c, and the cofactors p_{1,c} solve the linear system
v_c q_{c'} = v_{c'} q_c.  Its solutions with the degrees of p_1 are the multiples u h of the one
cofactor u without a common factor; e = deg h > 0 is the *exchange degree*: h(x^s) may then
change sides, p_1 = u h(x^s), r = gcd / h.
"""

from math import prod
from operator import add

import numpy as np

from .polynomials import check_size, convolution_matrix, divide
from .tolerances import rank_tolerances


def components(v, strides):
    """Views of v, one for each residue modulo the strides, in C order."""
    return [
        v[tuple(slice(c, None, s) for c, s in zip(residue, strides))]
        for residue in np.ndindex(*strides)
    ]


def split_first(v, shape, strides, tol):
    """All (u, g, e) with v(x) = u(x) g(x^s), u of shape `shape` - s e without factors h(x^s).

    Exact arithmetic has one answer.  Near a singular point rounding leaves the exchange degree e
    open, and one candidate for each plausible e comes back, the smallest e first.
    """
    steps, sizes = _classes(shape, strides)
    out = []
    for cofactors, g, e in common_factor([v[step] for step in steps], sizes, tol):
        u = np.zeros(tuple(n - s * d for n, s, d in zip(shape, strides, e)))
        for c, step in zip(cofactors, steps):
            if c is not None:
                u[step] = c
        out.append((u, g, e))
    return out


def split_first_of_many(v, shape, strides, tol):
    """u (B, *shape) and g for every row of v (B, *n), and where e is zero beyond doubt (B,)."""
    steps, sizes = _classes(shape, strides)
    parts = [v[(..., *step)] for step in steps]
    m = tuple(p - q + 1 for p, q in zip(parts[0].shape[1:], sizes[0]))
    if all(prod(q) == 1 for q in sizes):
        cofactors, g = _rank_one(parts, sizes, m)
        sure = np.ones(len(v), bool)
    else:
        _, s, null = np.linalg.svd(_syzygies(parts, sizes)[0])
        sure = s[:, :-1].min(axis=1, initial=np.inf) > max(rank_tolerances(tol)) * s[:, 0]
        cofactors = _blocks(null[:, -1], sizes)
        g = divide(parts, cofactors, m)
    u = np.zeros((len(v), *shape))
    for c, step in zip(cofactors, steps):
        u[(..., *step)] = c
    return u, g, sure


def _classes(shape, strides):
    """Slices for the residue classes that a filter of this shape has, and its shape in each."""
    residues = list(np.ndindex(*map(min, strides, shape)))
    steps = [tuple(slice(c, None, s) for c, s in zip(r, strides)) for r in residues]
    return steps, [tuple(-(-(n - a) // s) for a, n, s in zip(r, shape, strides)) for r in residues]


def common_factor(parts, sizes, tol):
    """Candidates (cofactors u_c, common factor g, e) for parts[c] = u_c g.

    `sizes` are the shapes of cofactors that certainly exist; the coprime ones are shorter by e
    on each axis.  A cofactor of negative degree is None.
    """
    m = tuple(p - q + 1 for p, q in zip(parts[0].shape, sizes[0]))
    if not any(p.any() for p in parts):
        return []
    if all(prod(q) == 1 for q in sizes):
        return [(*_rank_one(parts, sizes, m), (0,) * len(m))]
    r, columns = _syzygies(parts, sizes)
    _, s, null = np.linalg.svd(r)
    degrees = []
    for level in rank_tolerances(tol):
        e, zero = (0,) * len(m), level * (s[0] or 1.0)
        if len(s) > 1 and s[-2] <= zero:
            e = tuple(_excess(r, columns, axis, zero) for axis in range(len(m)))
        if e not in degrees:
            degrees.append(e)
    out = []
    for e in degrees:
        cofactors = _cofactors(r, null[-1], columns, sizes, e)
        used = [(p, u) for p, u in zip(parts, cofactors) if u is not None]
        shape = tuple(n + d for n, d in zip(m, e))
        out.append((cofactors, divide(*zip(*used), shape), e))
    return out


def _rank_one(parts, sizes, m):
    """Scalar cofactors, and the common factor: the parts are the rows of a matrix of rank one."""
    matrix = np.stack([p.reshape(*p.shape[: p.ndim - len(m)], -1) for p in parts], axis=-2)
    left, s, right = np.linalg.svd(matrix, full_matrices=False)
    lead = s.shape[:-1]
    cofactors = [left[..., i, 0].reshape(*lead, *sizes[0]) for i in range(len(parts))]
    return cofactors, (s[..., :1] * right[..., 0, :]).reshape(*lead, *m)


def _cofactors(r, q, columns, sizes, e):
    """The null vector among cofactors shorter by e; q is the one for e = 0."""
    if any(e):
        inside = (columns >= np.array(e)[:, None]).all(axis=0)
        q = np.zeros(r.shape[1])
        q[inside] = np.linalg.svd(r[:, inside])[2][-1]
    return [block[tuple(slice(0, n - d) for n, d in zip(size, e))]
            if all(n > d for n, d in zip(size, e)) else None
            for block, size in zip(_blocks(q, sizes), sizes)]


def _blocks(q, sizes):
    """The last axis of q, cut into one array of each size."""
    cuts = np.cumsum([prod(size) for size in sizes])[:-1]
    return [x.reshape(*q.shape[:-1], *n) for x, n in zip(np.split(q, cuts, axis=-1), sizes)]


def _syzygies(parts, sizes):
    """R factor of the system v_c q_* = v_* q_c, and for each column its distances to the end.

    * is one mixture of all components: the strongest, which is the best conditioned.  Axes of
    the parts before the last ones are a batch.
    """
    ndim = len(sizes[0])
    lead = parts[0].shape[: parts[0].ndim - ndim]
    widest = tuple(max(q[a] for q in sizes) for a in range(ndim))
    longest = tuple(max(p.shape[a - ndim] for p in parts) for a in range(ndim))
    padded = np.zeros((len(parts), *lead, *longest))
    for row, p in zip(padded, parts):
        row[(..., *(slice(0, n) for n in p.shape[len(lead) :]))] = p
    flat = np.moveaxis(padded.reshape(len(parts), *lead, -1), 0, -2)
    size = np.linalg.norm(flat, axis=(-2, -1))
    padded /= np.where(size > 0, size, 1.0).reshape(*lead, *(1,) * ndim)  # and its view `flat`
    mix = np.linalg.eigh(flat @ np.swapaxes(flat, -1, -2))[1][..., -1]
    strongest = (mix[..., None, :] @ flat).reshape(*lead, *longest)
    check_size(len(parts) * prod(map(add, longest, widest)) * sum(map(prod, sizes)))
    all_columns = np.arange(prod(widest)).reshape(widest)
    pick = [all_columns[tuple(slice(0, n) for n in q)].reshape(-1) for q in sizes]
    starts = np.concatenate([[0], np.cumsum([len(p) for p in pick])])
    mixed = convolution_matrix(strongest, widest)
    every = np.concatenate(pick)
    weights = np.repeat(mix, [len(p) for p in pick], axis=-1)[..., None, :]
    blocks = []
    for c, p in enumerate(padded):
        block = weights * convolution_matrix(p, widest)[..., every]
        block[..., starts[c] : starts[c + 1]] -= mixed[..., pick[c]]
        blocks.append(block)
    columns = np.concatenate(
        [np.array(q)[:, None] - 1 - np.indices(q).reshape(len(q), -1) for q in sizes], axis=1
    )
    return np.linalg.qr(np.concatenate(blocks, axis=-2), mode="r"), columns


def _excess(r, columns, axis, tol):
    """Largest e on this axis for which cofactors shorter by e still exist."""
    e = 0
    while True:
        keep = columns[axis] >= e + 1
        if not keep.any() or np.linalg.svd(r[:, keep], compute_uv=False)[-1] > tol:
            return e
        e += 1
