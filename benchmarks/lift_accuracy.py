"""How well `lift` recovers parameters from v and delta alone, by class of architecture.

Random architectures and normal random filters w; v = mu(w) and delta(w) go into `lift` without
a guess, and what comes back is compared with w up to signs.  A failure is an error
above 1e-8, an exception, or a v that `lift` calls ambiguous.  Times are processor times, so that
other work on the machine does not count; set OMP_NUM_THREADS=1, or threads add up.

    python benchmarks/lift_accuracy.py [cases per class] [seed]
"""

import sys
import time

import numpy as np

import lcnlib as lcn

FAILURE = 1e-8


def condition(net, w):
    """Singular values of dmu at filters of norm one, across the scaling directions."""
    units = [x / np.linalg.norm(x) for x in w]
    return np.linalg.svd(lcn.jacobian(net, units), compute_uv=False)[: net.dimension]


def sample_1d(depth):
    def sample(rng):
        sizes, strides = rng.integers(2, 9, depth), rng.integers(2, 6, depth)
        return lcn.LCN(tuple(map(int, sizes)), tuple(map(int, strides)))

    return sample


def sample_nd(ndim, one_allowed):
    """Mixed shapes and strides, also one when `one_allowed`; a generic v has one kernel."""

    def sample(rng):
        while True:
            depth = int(rng.integers(2, 4))
            shapes = [tuple(map(int, rng.integers(1, 4, ndim))) for _ in range(depth)]
            low = 1 if one_allowed else 2
            strides = [tuple(map(int, rng.integers(low, 4, ndim))) for _ in range(depth)]
            net = lcn.LCN(shapes, strides)
            size = np.prod(net.end_to_end_shape)
            if size <= 4000 and lcn.generic_kernel_count(net) == 1 and max(map(max, shapes)) > 1:
                return net

    return sample


CLASSES = {
    "D=1, strides 2-5, sizes 2-8, depth 2": sample_1d(2),
    "D=1, strides 2-5, sizes 2-8, depth 3": sample_1d(3),
    "D=1, strides 2-5, sizes 2-8, depth 4": sample_1d(4),
    "D=1, strides 2-5, sizes 2-8, depth 5": sample_1d(5),
    "D=2, strides 2-3, sizes 1-3": sample_nd(2, False),
    "D=2, strides 1-3, sizes 1-3": sample_nd(2, True),
    "D=3, strides 1-3, sizes 1-3": sample_nd(3, True),
}


def relative_error(found, true):
    """Largest relative error of a filter, up to its sign."""
    return max(
        min(np.linalg.norm(a - b), np.linalg.norm(a + b)) / np.linalg.norm(b)
        for a, b in zip(found, true)
    )


def one_case(net, rng):
    """(error, condition number of the directions, seconds)"""
    w = lcn.random_filters(net, rng)
    v, delta = lcn.end_to_end(net, w), lcn.invariants(net, w)
    start = time.process_time()
    try:
        error = relative_error(lcn.lift(net, v, delta), w)
    except lcn.LCNError:  # a refusal counts as a failure
        error = np.inf
    seconds = time.process_time() - start
    s = condition(net, w)
    return error, s[0] / s[-1], seconds


def measure(cases, seed):
    """One row for each class: cases, failures, worst error and its architecture, times."""
    rows = []
    for name, sample in CLASSES.items():
        rng = np.random.default_rng(seed)
        results = []
        for _ in range(cases):
            net = sample(rng)
            results.append((*one_case(net, rng), net))
        errors, conditions, seconds, nets = zip(*results)
        worst = int(np.argmax(errors))
        rows.append({
            "class": name,
            "cases": cases,
            "failures": int(np.sum(np.array(errors) > FAILURE)),
            "worst error": errors[worst],
            "its condition": conditions[worst],
            "largest condition": max(conditions),
            "worst net": f"{nets[worst].filter_shapes}, strides {nets[worst].strides}",
            "median ms": 1e3 * float(np.median(seconds)),
            "largest ms": 1e3 * max(seconds),
        })
    return rows


def near_a_pinch(distances):
    """What limits the accuracy: (distance, condition number, error) next to a singular point.

    k = (3, 2), s = 2: p_1 = x^2 + d x + 2 and p_2 = x + 2 drop the rank of dmu at d = 0 (S12).
    """
    net = lcn.LCN((3, 2), 2)
    out = []
    for d in distances:
        w = [np.array([2.0, d, 1.0]), np.array([2.0, 1.0])]
        v = lcn.end_to_end(net, w)
        s = condition(net, w)
        found = lcn.lift(net, v, lcn.invariants(net, w))
        out.append((d, s[0] / s[-1], relative_error(found, w)))
    return out


if __name__ == "__main__":
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for row in measure(cases, int(sys.argv[2]) if len(sys.argv) > 2 else 0):
        print(
            f"{row['class']}\n"
            f"  failures {row['failures']} of {row['cases']}, "
            f"worst error {row['worst error']:.1e} "
            f"(condition {row['its condition']:.0f}, largest {row['largest condition']:.0f})\n"
            f"  at {row['worst net']}\n"
            f"  median {row['median ms']:.2f} ms, largest {row['largest ms']:.1f} ms (processor)"
        )
    print("Next to a rank drop (k = (3, 2), stride 2):")
    for distance, condition, error in near_a_pinch(10.0 ** -np.arange(0, 8)):
        print(f"  distance {distance:.0e}: condition {condition:.1e}, error {error:.1e}")
