"""Architectures that the tests share: every dimension, depth and stride pattern."""

import numpy as np

from lcnlib import LCN


def random_nets(seed, per_depth, dimensions=(1, 2, 3), depths=range(1, 6), limit=1500):
    """Random architectures, `per_depth` for each dimension and depth."""
    rng = np.random.default_rng(seed)
    nets = []
    for d in dimensions:
        for depth in depths:
            found = 0
            while found < per_depth:
                shapes = [tuple(map(int, rng.integers(1, 5 - d // 2, d))) for _ in range(depth)]
                top = 4 if depth < 4 and d < 3 else 3
                strides = [tuple(map(int, rng.integers(1, top, d))) for _ in range(depth)]
                net = LCN(shapes, strides)
                if np.prod(net.end_to_end_shape) <= limit:
                    nets.append(net)
                    found += 1
    return nets


NAMED = {
    "one layer": LCN((4,), 3),
    "stride one": LCN((2, 3)),
    "stride two": LCN((3, 3, 2), 2),
    "mixed strides": LCN((3, 2, 4), (1, 3, 1)),
    "size one": LCN((1, 3, 1), 2),
    "gaps": LCN((2, 2), 4),
    "two 3x3": LCN([(3, 3), (3, 3)]),
    "mixed 2-D": LCN([(2, 3), (3, 1), (2, 2)], [(2, 1), (1, 3), 2]),
    "3-D": LCN([(2, 1, 3), (2, 2, 2)], [(1, 2, 2), 1]),
    "deep": LCN((2,) * 6, 2),
}
