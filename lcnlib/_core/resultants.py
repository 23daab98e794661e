"""Where one condition on the filters makes dmu drop rank: two layers with a common root."""

from itertools import combinations

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


def root_groups(net):
    """Groups, of two or more, of layers that are polynomials in one power of one variable."""
    groups = {}
    for i, (k, s) in enumerate(zip(net.filter_shapes, net.cumulative_strides)):
        axes = [a for a, n in enumerate(k) if n > 1]
        if len(axes) == 1:
            groups.setdefault((axes[0], s[axes[0]]), []).append(i)
    return [tuple(g) for g in groups.values() if len(g) > 1]


def common_root_pairs(net):
    """Pairs of layers of one root group, in the order of the later layer.

    A common root of such a pair is one condition on the filters, and there dmu drops rank; every
    other loss of rank at non-zero filters takes at least two conditions.
    """
    pairs = [pair for group in root_groups(net) for pair in combinations(group, 2)]
    return sorted(pairs, key=lambda pair: pair[::-1])
