"""Networks, points and tangent vectors shared by the tests of the Riemannian side."""

import numpy as np
import pytest

import lcnlib
from lcnlib.metric import tangent_basis

NETS = [
    lcnlib.LCN((3, 2), 2),
    lcnlib.LCN((2, 2), 3),
    lcnlib.LCN((3, 2, 3), (2, 3, 1)),
    lcnlib.LCN((2, 2, 3, 2), 2),
    lcnlib.LCN((3, 1, 4), 2),
    lcnlib.LCN((2, 3), 1),  # stride one: immersive at random points too
    lcnlib.LCN([(2, 2), (2, 3)], 1),
    lcnlib.LCN([(2, 3), (3, 1), (2, 2)], (1, 2, 1)),
    lcnlib.LCN([(2, 2), (2, 2)], 2),
]
KINDS = ["balanced", "unbalanced", "tied"]


def name(net):
    return f"{net.filter_shapes}/{net.strides}".replace(" ", "").replace(",)", ")")


def point(net, kind, seed, batch=()):
    """Random filters: balanced, of norms that differ tenfold, or with two equal least norms."""
    rng = np.random.default_rng(seed)
    w = lcnlib.random_filters(net, rng, batch)
    if kind == "balanced":
        return lcnlib.rescale(net, w, np.zeros(net.depth - 1))
    if kind == "tied":
        return lcnlib.rescale(net, w, np.eye(net.depth - 1)[-1] * 2.5)
    return [x * 10 ** rng.uniform(-0.5, 0.5) for x in w]


def tangents(net, w, n, seed):
    """n random tangent vectors, shape (n, *k), for filters without batch axes."""
    c = np.random.default_rng(seed).standard_normal((n, net.dimension))
    return np.tensordot(c, tangent_basis(net, w), 1)


every_point = pytest.mark.parametrize(
    ("net", "kind"),
    [pytest.param(n, k, id=f"{name(n)}-{k}") for n in NETS for k in KINDS],
)
