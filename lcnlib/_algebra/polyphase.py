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
    return [v[tuple(slice(c, None, s) for c, s in zip(residue, strides))]
            for residue in np.ndindex(*strides)]


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
    r, columns = syzygies(parts, sizes)
    size, out = np.linalg.norm(r, 2), []
    for e in dict.fromkeys(
            tuple(excess(r, columns, axis, level * size) for axis in range(len(columns)))
            for level in rank_tolerances(tol)):
        cofactors = cofactors_of(r, columns, sizes, e)
        used = [(p, u) for p, u in zip(parts, cofactors) if u.size]
        shape = tuple(p - q + 1 + d for p, q, d in zip(parts[0].shape, sizes[0], e))
        out.append((cofactors, divide(*zip(*used), shape), e))
    return out


def cofactors_of(r, columns, sizes, e):
    """The null vector among cofactors shorter by e, cut into one array of each size."""
    inside = (columns >= np.array(e)[:, None]).all(axis=0)
    q = np.zeros(r.shape[1])
    q[inside] = np.linalg.svd(r[:, inside])[2][-1]
    widest = map(max, zip(*sizes))
    return [x[tuple(slice(n - d) for n, d in zip(size, e))]
            for x, size in zip(q.reshape(len(sizes), *widest), sizes)]


def syzygies(parts, sizes):
    """R factor of the system v_c q_* = v_* q_c, and for each column its distances to the end.

    * is one mixture of all components: the strongest, which is the best conditioned.  All q_c are
    given the widest size; beyond the end of one its distances are negative.
    """
    widest = tuple(map(max, zip(*sizes)))
    longest = tuple(map(max, zip(*(p.shape for p in parts))))
    check_size(len(parts) ** 2 * prod(map(add, longest, widest)) * prod(widest))
    padded = np.stack([np.pad(p, [(0, n - m) for n, m in zip(longest, p.shape)]) for p in parts])
    padded /= np.linalg.norm(padded) or 1.0
    mix = np.linalg.svd(padded.reshape(len(parts), -1), full_matrices=False)[0][:, 0]
    strongest = convolution_matrix(np.tensordot(mix, padded, 1), widest)
    blocks = [np.kron(mix, convolution_matrix(p, widest)) - np.kron(own, strongest)
              for p, own in zip(padded, np.eye(len(parts)))]
    places = np.indices(widest).reshape(len(widest), -1)
    columns = np.concatenate([np.array(q)[:, None] - 1 - places for q in sizes], axis=1)
    return np.linalg.qr(np.concatenate(blocks), mode="r"), columns


def excess(r, columns, axis, tol):
    """Largest e on this axis for which cofactors shorter by e still exist."""
    limits = np.zeros((len(columns), 1), int)
    while True:
        limits[axis] += 1
        keep = (columns >= limits).all(axis=0)
        if not keep.any() or np.linalg.svd(r[:, keep], compute_uv=False)[-1] > tol:
            return limits[axis, 0].item() - 1
