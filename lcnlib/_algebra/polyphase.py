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
    residues = np.ndindex(*map(min, strides, shape))
    steps = [tuple(slice(c, None, s) for c, s in zip(r, strides)) for r in residues]
    sizes, out = [np.empty(shape)[step].shape for step in steps], []
    for cofactors, g, e in common_factor([v[step] for step in steps], sizes, tol):
        u = np.zeros(tuple(n - s * d for n, s, d in zip(shape, strides, e)))
        for step, cofactor in zip(steps, cofactors):
            u[step] = cofactor
        out.append((u, g, e))
    return out


def common_factor(parts, sizes, tol):
    """Candidates (cofactors u_c, common factor g, e) for parts[c] = u_c g.

    `sizes` are the shapes of cofactors that certainly exist; the coprime ones are shorter by e
    on each axis, and empty where nothing is left.
    """
    m = tuple(p - q + 1 for p, q in zip(parts[0].shape, sizes[0]))
    if all(prod(q) == 1 for q in sizes):  # the parts are the rows of a matrix of rank one
        left, s, right = np.linalg.svd([p.reshape(-1) for p in parts], full_matrices=False)
        scalars = [np.full(q, x) for q, x in zip(sizes, left[:, 0])]
        return [(scalars, (s[0] * right[0]).reshape(m), (0,) * len(m))]
    r, columns = syzygies(parts, sizes)
    size = np.linalg.norm(r, 2)
    degrees = dict.fromkeys(
        tuple(excess(r, columns, axis, level * size) for axis in range(len(m)))
        for level in rank_tolerances(tol))
    out = []
    for e in degrees:
        cofactors = cofactors_of(r, columns, sizes, e)
        used = [(p, u) for p, u in zip(parts, cofactors) if u.size]
        shape = tuple(n + d for n, d in zip(m, e))
        out.append((cofactors, divide(*zip(*used), shape), e))
    return out


def cofactors_of(r, columns, sizes, e):
    """The null vector among cofactors shorter by e, cut into one array of each size."""
    inside = (columns >= np.array(e)[:, None]).all(axis=0)
    q = np.zeros(r.shape[1])
    q[inside] = np.linalg.svd(r[:, inside])[2][-1]
    blocks = np.split(q, np.cumsum([prod(size) for size in sizes])[:-1])
    return [x.reshape(size)[tuple(slice(n - d) for n, d in zip(size, e))]
            for x, size in zip(blocks, sizes)]


def syzygies(parts, sizes):
    """R factor of the system v_c q_* = v_* q_c, and for each column its distances to the end.

    * is one mixture of all components: the strongest, which is the best conditioned.
    """
    widest = tuple(map(max, zip(*sizes)))
    longest = tuple(map(max, zip(*(p.shape for p in parts))))
    check_size(len(parts) * prod(map(add, longest, widest)) * sum(map(prod, sizes)))
    padded = np.zeros((len(parts), *longest))
    for row, p in zip(padded, parts):
        row[tuple(map(slice, p.shape))] = p
    padded /= np.linalg.norm(padded) or 1.0
    mix = np.linalg.svd(padded.reshape(len(parts), -1), full_matrices=False)[0][:, 0]
    number = np.arange(prod(widest)).reshape(widest)
    picked = np.concatenate([number[tuple(map(slice, q))].reshape(-1) for q in sizes])
    owner = np.repeat(np.arange(len(parts)), [prod(q) for q in sizes])
    strongest = convolution_matrix(np.tensordot(mix, padded, 1), widest)[:, picked]
    blocks = [
        mix[owner] * convolution_matrix(p, widest)[:, picked] - strongest * (owner == c)
        for c, p in enumerate(padded)]
    columns = np.concatenate(
        [np.array(q)[:, None] - 1 - np.indices(q).reshape(len(q), -1) for q in sizes], axis=1)
    return np.linalg.qr(np.concatenate(blocks), mode="r"), columns


def excess(r, columns, axis, tol):
    """Largest e on this axis for which cofactors shorter by e still exist."""
    e = 0
    while True:
        keep = columns[axis] >= e + 1
        if not keep.any() or np.linalg.svd(r[:, keep], compute_uv=False)[-1] > tol:
            return e
        e += 1
