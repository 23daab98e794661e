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
    residues = list(np.ndindex(*map(min, strides, shape)))
    steps = [tuple(slice(c, None, s) for c, s in zip(r, strides)) for r in residues]
    parts = [v[step] for step in steps]
    sizes = [tuple(-(-(n - a) // s) for a, n, s in zip(r, shape, strides)) for r in residues]
    out = []
    for cofactors, g, e in common_factor(parts, sizes, tol):
        u = np.zeros(tuple(n - s * d for n, s, d in zip(shape, strides, e)))
        for c, step in zip(cofactors, steps):
            if c is not None:
                u[step] = c
        out.append((u, g, e))
    return out


def common_factor(parts, sizes, tol):
    """Candidates (cofactors u_c, common factor g, e) for parts[c] = u_c g.

    `sizes` are the shapes of cofactors that certainly exist; the coprime ones are shorter by e
    on each axis.  A cofactor of negative degree is None.
    """
    m = tuple(p - q + 1 for p, q in zip(parts[0].shape, sizes[0]))
    if not any(p.any() for p in parts):
        return []
    if all(prod(q) == 1 for q in sizes):  # scalar cofactors: a matrix of rank one
        matrix = np.stack([p.reshape(-1) for p in parts])
        left, s, right = np.linalg.svd(matrix, full_matrices=False)
        cofactors = [x.reshape(sizes[0]) for x in left[:, 0]]
        return [(cofactors, (s[0] * right[0]).reshape(m), (0,) * len(m))]
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


def _cofactors(r, q, columns, sizes, e):
    """The null vector among cofactors shorter by e; q is the one for e = 0."""
    if any(e):
        inside = (columns >= np.array(e)[:, None]).all(axis=0)
        q = np.zeros(r.shape[1])
        q[inside] = np.linalg.svd(r[:, inside])[2][-1]
    out, start = [], 0
    for size in sizes:
        block = q[start : start + prod(size)].reshape(size)
        start += prod(size)
        short = tuple(slice(0, n - d) for n, d in zip(size, e))
        out.append(block[short] if all(n > d for n, d in zip(size, e)) else None)
    return out


def _syzygies(parts, sizes):
    """R factor of the system v_c q_* = v_* q_c, and for each column its distances to the end.

    * is one mixture of all components: the strongest, which is the best conditioned.
    """
    widest = tuple(max(q[a] for q in sizes) for a in range(len(sizes[0])))
    longest = tuple(max(p.shape[a] for p in parts) for a in range(len(widest)))
    padded = np.zeros((len(parts), *longest))
    for row, p in zip(padded, parts):
        row[tuple(slice(0, n) for n in p.shape)] = p
    padded /= np.linalg.norm(padded)
    flat = padded.reshape(len(parts), -1)
    mix = np.linalg.eigh(flat @ flat.T)[1][:, -1]
    strongest = (mix @ flat).reshape(longest)
    check_size(len(parts) * prod(map(add, longest, widest)) * sum(map(prod, sizes)))
    all_columns = np.arange(prod(widest)).reshape(widest)
    pick = [all_columns[tuple(slice(0, n) for n in q)].reshape(-1) for q in sizes]
    starts = np.concatenate([[0], np.cumsum([len(p) for p in pick])])
    mixed = convolution_matrix(strongest, widest)
    blocks = []
    for c, p in enumerate(padded):
        own = convolution_matrix(p, widest)
        block = np.concatenate([a * own[:, cols] for a, cols in zip(mix, pick)], axis=1)
        block[:, starts[c] : starts[c + 1]] -= mixed[:, pick[c]]
        blocks.append(block)
    columns = np.concatenate(
        [np.array(q)[:, None] - 1 - np.indices(q).reshape(len(q), -1) for q in sizes], axis=1
    )
    return np.linalg.qr(np.concatenate(blocks), mode="r"), columns


def _excess(r, columns, axis, tol):
    """Largest e on this axis for which cofactors shorter by e still exist."""
    e = 0
    while True:
        keep = columns[axis] >= e + 1
        if not keep.any() or np.linalg.svd(r[:, keep], compute_uv=False)[-1] > tol:
            return e
        e += 1
