"""Time against size, depth and batch, for the growth curves of the book's appendix.

A curve is a dictionary: `work`, what grows (`against`), the architectures in words (`family`), and
for each value `x` the median of its `seconds`.  `lift` and `factorizations` have no competitor;
here is their growth.  A curve ends early when one call takes longer than LIMIT.
"""

from functools import partial
from statistics import median

import numpy as np

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss

LIMIT = 3.0


def call(work, net, batch=()):
    """The function to be timed, on random data, without arguments."""
    rng = np.random.default_rng(5)
    filters = lcn.random_filters(net, rng, batch)
    if work == "gradient_flow":
        loss = QuadraticLoss(rng.standard_normal(net.end_to_end_shape))
        return partial(lcn.gradient_flow, net, loss, filters, [0, 10.0])
    if work == "factorizations":
        return partial(lcn.factorizations, net, lcn.end_to_end(net, filters))
    if work == "lift":
        v, delta = lcn.end_to_end(net, filters), lcn.invariants(net, filters)
        return partial(lcn.lift, net, v, delta)
    if work == "ntk_apply":
        g = rng.standard_normal(batch + net.end_to_end_shape)
        return partial(lcn.ntk_apply, net, filters, g)
    return partial(getattr(lcn, work), net, filters)


def curve(clock, budget, work, against, family, cases):
    """Times `work` on cases (x, net, batch)."""
    xs, seconds = [], []
    for x, net, batch in cases:
        run = call(work, net, batch)
        run()  # plans
        times = [clock(run)]
        while sum(times) < budget and len(times) < 100:
            times.append(clock(run))
        xs.append(int(x))
        seconds.append(median(times))
        if seconds[-1] > LIMIT:
            break
    return {"work": work, "against": against, "family": family, "x": xs, "seconds": seconds}


def size_cases(sizes, depth=3, stride=2):
    nets = [LCN((k,) * depth, stride) for k in sizes]
    return [(np.prod(net.end_to_end_shape), net, ()) for net in nets]


def measure(clock, budget):
    """All curves; `budget` is the time in seconds for each point."""
    run = partial(curve, clock, budget)
    powers = [2**j + 1 for j in range(1, 18)]
    three = "three layers of equal size, strides 2"
    out = [run(work, "n", three, size_cases(powers)) for work in ("end_to_end", "ntk_apply")]
    out += [run(work, "n", three, size_cases(powers[:8])) for work in ("jacobian", "ntk")]
    out.append(run("gradient_flow", "n", three, size_cases(powers[:5])))

    depths = (2, 4, 8, 16, 32, 64, 128)
    deep = [(h, LCN((3,) * h), ()) for h in depths]
    works = ("end_to_end", "ntk_apply", "jacobian", "ntk")
    out += [run(work, "depth", "layers of 3, stride 1", deep) for work in works]
    out.append(run("gradient_flow", "depth", "layers of 3, stride 1", deep[:4]))

    many = [(b, LCN((3, 3, 2), 2), (b,)) for b in (1, 4, 16, 64, 256, 1024, 4096)]
    out += [run(work, "batch", "(3, 3, 2), strides 2", many) for work in works]
    out.append(run("gradient_flow", "batch", "(3, 3, 2), strides 2", many[:6]))

    two = "two layers of equal size, strides 2"
    for work in ("lift", "factorizations"):
        out.append(run(work, "n", two, size_cases(powers[:7], depth=2)))
        out.append(run(work, "depth", "layers of 3, strides 2",
                       [(h, LCN((3,) * h, 2), ()) for h in range(2, 9)]))
    # At stride one v has several factorisations: up to H! of them.
    out.append(run("factorizations", "depth", "layers of 2, stride 1",
                   [(h, LCN((2,) * h), ()) for h in range(2, 7)]))
    return out


def show(curves, unit):
    for c in curves:
        points = ", ".join(f"{x}: {unit(s)}" for x, s in zip(c["x"], c["seconds"]))
        print(f"\n{c['work']} against {c['against']}, {c['family']}\n    {points}")
