"""The map "which start ends in which minimum", from 10,000 starts: `python tools/basins.py`.

Writes lcnlib/basins.json, which the chapter "Where it ends, and how fast" shows. The network, the
loss and the minima are those of "Singular and critical points". Takes about a minute.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import lcnlib as lcn

SIDE = 100
NET = lcn.LCN((3, 2), strides=2)
FILE = Path(__file__).resolve().parents[1] / "lcnlib" / "basins.json"


def problem():
    """The loss of the chapter, and its minima in the order of their losses."""
    rng = np.random.default_rng(3939)
    signal = np.convolve(rng.standard_normal(60), [1, 1, 1])
    loss = lcn.QuadraticLoss.from_data(NET, signal, rng.standard_normal(15))
    c = lcn.critical_points(NET, loss)
    good = c.real & (c.index == 0)
    order = np.argsort(c.loss[good].real)
    return loss, c.end_to_end[good].real[order]


def starts(angles, deltas):
    """w_1 along (2, 1, -1), w_2 at an angle, norms with product one and the invariant delta."""
    angle = np.radians(angles)
    first = np.broadcast_to(np.array([2.0, 1, -1]) / np.sqrt(6), (len(angle), 3))
    second = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return lcn.rescale(NET, [first, second], np.asarray(deltas)[:, None])


def valleys(part):
    """For a batch of (angle, delta): the number of the minimum in which each flow ends."""
    loss, minima = problem()
    flow = lcn.gradient_flow(NET, loss, starts(*part.T), [0, 60.0], rtol=1e-6, atol=1e-9)
    distance = np.linalg.norm(flow.end_to_end[-1][:, None] - minima, axis=-1)
    near = distance.min(axis=1) < 1e-2  # a start close to a saddle's border is late
    return np.where(near, distance.argmin(axis=1), len(minima)).tolist()


def main():
    angles = (np.arange(SIDE) + 0.5) * 360 / SIDE
    deltas = (np.arange(SIDE) + 0.5) * 8 / SIDE - 4
    points = np.stack(np.meshgrid(angles, deltas), axis=-1).reshape(-1, 2)
    with ProcessPoolExecutor() as pool:
        result = lcn.ensemble(valleys, points, batch=100, executor=pool, progress=True)
    assert not result.failures, result.failures[0]
    rows = np.array(result.results).reshape(SIDE, SIDE)
    text = json.dumps({"made by": "tools/basins.py", "angles": angles.round(10).tolist(),
                       "deltas": deltas.round(10).tolist(),
                       "valleys": ["".join(map(str, row)) for row in rows]}, indent=1)
    FILE.write_text(text + "\n")
    print(np.bincount(rows.ravel()), FILE)


if __name__ == "__main__":
    main()
