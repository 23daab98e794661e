"""What a sweep costs: thousands of flows, a stiff loss, and ensembles of 100,000 starts.

    python benchmarks/research.py [--only TEXT]

Prints a table.  The goals are for the time of the processor in one thread, which is that of the
clock on a machine with nothing else to do.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lcnlib as lcn

NET, LOSS = lcn.LCN((3, 2), 2), lcn.QuadraticLoss([1.0, 2, 3, 2, 1])


def clock(run):
    wall, cpu = time.perf_counter(), time.process_time()
    out = run()
    return time.perf_counter() - wall, time.process_time() - cpu, out


def function_space_flows(n=1000):
    w = lcn.random_filters(NET, 0, (n,))
    v, delta = lcn.end_to_end(NET, w), lcn.invariants(NET, w)
    lcn.function_space_flow(NET, LOSS, v[0], delta[0], [0, 1])
    return clock(lambda: lcn.function_space_flow(NET, LOSS, v, delta, [0, 10.0]))


def gradient_flows(n=10_000):
    w = lcn.random_filters(NET, 0, (n,))
    lcn.gradient_flow(NET, LOSS, [x[0] for x in w], [0, 1])
    return clock(lambda: lcn.gradient_flow(NET, LOSS, w, [0, 10.0]))


def stiff():
    """Eigenvalues from 1e-8 to 1, a loss of the user's own."""
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    inner = lcn.QuadraticLoss(LOSS.target, q @ np.diag(np.geomspace(1e-8, 1, 5)) @ q.T)
    loss, w = lcn.Loss(inner.value, inner.gradient), lcn.random_filters(NET, 1)
    lcn.gradient_flow(NET, loss, w, [0, 0.1])  # imports SciPy's integrators
    return clock(lambda: lcn.gradient_flow(NET, loss, w, [0, 1e4]))


def nothing(seed):
    return 0.0


def ends(seeds):
    """The final losses of a batch of flows."""
    w = zip(*(lcn.random_filters(NET, np.random.default_rng(s)) for s in seeds))
    return lcn.gradient_flow(NET, LOSS, [np.stack(x) for x in w], [0, 10.0]).loss[-1]


def sweep(task, n, workers=0, store=None, batch=None):
    run = partial(lcn.ensemble, task, lcn.Seeds(0, n), batch=batch, store=store)
    if not workers:
        return clock(run)
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(nothing, range(workers)))
        return clock(partial(run, executor=pool))


def ensembles():
    """Overhead per start, scaling from one to two processes, and 100,000 starts with a store."""
    n = 100_000
    for name, workers in (("in this process", 0), ("by 2 processes", 2)):
        wall, cpu, _ = sweep(nothing, n, workers)
        line(f"ensemble of an empty task, {name}", wall, cpu, f"{1e6 * wall / n:.1f} µs a start")
    times = [sweep(ends, 4000, workers, batch=500)[0] for workers in (1, 2)]
    line("4,000 flows by 2 processes", times[1], 0.0, f"{times[0] / times[1]:.2f} times as fast "
         f"as by 1; {len(os.sched_getaffinity(0))} cores")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = processors()
    with tempfile.TemporaryDirectory() as store:
        wall, cpu, _ = sweep(ends, n, 2, store, batch=500)
        spent = processors() - spent
        files = list(Path(store).iterdir())
        size = sum(f.stat().st_size for f in files)
        again, _, _ = sweep(ends, n, 0, store, batch=500)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    line("100,000 flows by 2 processes, stored", wall, cpu,
         f"{spent:.0f} s in the processes; {len(files)} files, {size / 1e6:.1f} MB, "
         f"{memory / 1024:.0f} MB of memory more; read again in {again:.2f} s")


def processors():
    """Seconds that processes which have ended had."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def line(name, wall, cpu, note):
    print(f"{name:44} {wall:8.2f} s {cpu:8.2f} s  {note}", flush=True)


FLOWS = [("1,000 function_space_flows of (3, 2)", function_space_flows, 5),
         ("10,000 gradient_flows of (3, 2)", gradient_flows, 10),
         ("one flow of condition 1e8, own loss", stiff, 2)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    load = os.getloadavg()[0]
    print(f"load {load:.1f} on {len(os.sched_getaffinity(0))} cores\n{'work':44} {'wall':>8}   "
          f"{'cpu':>8}")
    for name, run, goal in FLOWS:
        if only in name:
            wall, cpu, _ = run()
            line(name, wall, cpu, f"{'met' if cpu < goal else 'MISSED'} (under {goal} s)")
    if only in "ensembles":
        ensembles()


if __name__ == "__main__":
    main()
