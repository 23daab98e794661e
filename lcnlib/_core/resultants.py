"""Where one condition on the filters makes dmu drop rank: two layers with a common root."""

import numpy as np


def resultants(p, q):
    """Signs and logarithms of the Sylvester determinants of p, shape (n, m), and q, (n, l).

    Homogeneous: zero when p and q have a common root, at infinity, too.  Determinants of large
    filters underflow, their logarithms do not.
    """
    m, n = p.shape[1] - 1, q.shape[1] - 1
    sylvester = np.zeros((len(p), m + n, m + n))
    for i in range(n):
        sylvester[:, i, i : i + m + 1] = p
    for i in range(m):
        sylvester[:, n + i, i : i + n + 1] = q
    return np.linalg.slogdet(sylvester)


def common_root_pairs(net):
    """Pairs of layers that are polynomials in the same power of the same variable.

    A common root of such a pair is one condition on the filters, and there dmu drops rank; every
    other loss of rank at non-zero filters takes at least two conditions.
    """
    kinds = []
    for k, s in zip(net.filter_shapes, net.cumulative_strides):
        long = [a for a, n in enumerate(k) if n > 1]
        kinds.append((long[0], s[long[0]]) if len(long) == 1 else None)
    return [
        (i, j)
        for j in range(net.depth)
        for i in range(j)
        if kinds[i] is not None and kinds[i] == kinds[j]
    ]
