"""lcnlib against JAX, torch and SciPy with autograd: one table from one run (`make bench`).

Every row is the same work on the same numbers in float64.  After the first call, which is timed
apart because it compiles or plans, all contestants take turns, so that other work on the
machine meets all of them; the table shows medians.  Results are compared before anything is timed.
A goal is a ratio against a peer with FFT convolutions; "shifts" is a second form of the peer, for
tiny filters.  The table and the growth curves go into lcnlib/benchmarks.json, from where the
book's appendix "How fast is it" takes them.

    python benchmarks/run.py [--only TEXT] [--quick]

--only TEXT runs the rows whose name contains TEXT; with it, or with --quick, nothing is stored.
"""

import argparse
import json
import os
import platform
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import growth  # noqa: E402
import peers  # noqa: E402

import lcnlib as lcn  # noqa: E402
from lcnlib import LCN, QuadraticLoss  # noqa: E402
from lcnlib._spectral import plan  # noqa: E402

RESULTS = ROOT / "lcnlib" / "benchmarks.json"
T, RTOL, ATOL = 10.0, 1e-9, 1e-12
# K g for large filters: at most this many times the cost of its real FFTs.
FLOOR = 1.3
REV = {"mode": peers.jax.jacrev}


def kernel_row(work, net, goals, tiny=False):
    filters = lcn.random_filters(net, 1)
    flat = peers.flatten(filters)
    run = {
        "lcnlib": lambda: partial(lcn.ntk, net, filters),
        "JAX jacfwd": lambda: peers.jax_ntk(net, flat),
        "JAX jacrev": lambda: peers.jax_ntk(net, flat, **REV),
        "torch jacrev": lambda: peers.torch_ntk(net, flat),
        "torch jacfwd": lambda: peers.torch_ntk(net, flat, mode=peers.torch.func.jacfwd),
    }
    if tiny:  # one shifted sum for each entry of a filter: JAX at its best
        run["JAX jacfwd, shifts"] = lambda: peers.jax_ntk(
            net, flat, product=peers.jax_product_by_shifts)
    return {"work": f"dense K, {work}", "net": net, "goals": goals, "run": run}


def jacobian_row(work, net, goals):
    filters = lcn.random_filters(net, 1)
    flat = peers.flatten(filters)
    return {"work": f"Jacobian, {work}", "net": net, "goals": goals, "run": {
        "lcnlib": lambda: partial(lcn.jacobian, net, filters),
        "JAX jacfwd": lambda: peers.jax_jacobian(net, flat),
        "torch jacfwd": lambda: peers.torch_jacobian(net, flat),
    }}


def large_row(work, net, goals):
    filters = lcn.random_filters(net, 1)
    flat = peers.flatten(filters)
    n = net.end_to_end_shape[0]
    g = np.random.default_rng(2).standard_normal(n)

    def transforms():
        """Nothing but the real FFTs that K g needs, each of the size it needs."""
        import scipy

        from lcnlib._nested import Nested
        grids = [m[0] for m in Nested(plan(net, "fft")).grids]
        arrays = [np.random.default_rng(3).standard_normal(m) for m in grids]
        half = [scipy.fft.rfft(a) for a in arrays]

        def run():
            for i, (a, z, m) in enumerate(zip(arrays, half, grids)):
                scipy.fft.rfft(a)  # the layer's filter
                scipy.fft.irfft(z, m)  # T_i^T g
                scipy.fft.rfft(a)  # and what comes back of it
                if i == 0:
                    scipy.fft.rfft(a)  # g
                    scipy.fft.irfft(z, m)  # K g

        return run

    return {"work": f"K g, {work}", "net": net, "goals": goals, "floor": "its real FFTs", "run": {
        "lcnlib": lambda: partial(lcn.ntk_apply, net, filters, g),
        "JAX vjp, jvp": lambda: peers.jax_ntk_apply(net, flat, g),
        "torch vjp, jvp": lambda: peers.torch_ntk_apply(net, flat, g),
        "its real FFTs": transforms,
    }}


def flow_row(work, net, goals, batch=()):
    rng = np.random.default_rng(4)
    filters = lcn.random_filters(net, rng, batch)
    target = rng.standard_normal(net.end_to_end_shape)
    loss = QuadraticLoss(target)
    b = int(np.prod(batch))
    flat = np.concatenate([w.reshape(b, -1) for w in filters], axis=1).reshape(*batch, -1)

    def ours(rtol=RTOL, atol=ATOL):
        flow = lcn.gradient_flow(net, loss, filters, [0, T], rtol=rtol, atol=atol)
        return flow.end_to_end[-1].reshape(*batch, -1)

    args = net, target, flat, T, RTOL, ATOL
    run = {
        "lcnlib": lambda: ours,
        "diffrax Dopri8": lambda: peers.diffrax_flow(*args),
    }
    if max(map(np.prod, net.filter_shapes)) <= 9:
        run["diffrax Dopri8, shifts"] = lambda: peers.diffrax_flow(
            *args, product=peers.jax_product_by_shifts)
    if b == 1 and flat.size < 20:  # a minute and more for larger ones
        run["SciPy + autograd"] = lambda: peers.autograd_flow(*args)
    return {"work": f"flow, {work}", "net": net, "goals": goals, "batch": b, "run": run,
            "reference": lambda: ours(1e-12, 1e-15), "tolerance": 1e-6}


def rows():
    one, two, square = LCN((3, 3, 2), 2), LCN((17,) * 3, 2), LCN([(3, 3)] * 3)
    big = LCN([(5, 5)] * 3, 2)
    jax_and_torch = {"JAX": 1, "torch": 6}
    return [
        kernel_row("(3,3,2) strides 2", one, jax_and_torch, tiny=True),
        kernel_row("three 3×3", square, jax_and_torch, tiny=True),
        kernel_row("three of 17, strides 2", two, {"JAX": 3}),
        kernel_row("four of 65, strides 2", LCN((65,) * 4, 2), {"JAX": 6}),
        kernel_row("three 5×5, strides 2", big, {"JAX": 6}),
        jacobian_row("ten of 3, strides 2", LCN((3,) * 10, 2), {"JAX": 5}),
        large_row("three of 131073, strides 2", LCN((131073,) * 3, 2), {"JAX": 6}),
        flow_row("(3,3,2)", one, {"diffrax": 1, "diffrax first": 20}),
        flow_row("three 3×3", square, {"diffrax": 1, "diffrax first": 20}),
        flow_row("256 of (3,3,2)", one, {"diffrax": 5}, (256,)),
        flow_row("64 of three 3×3", square, {"diffrax": 6}, (64,)),
        flow_row("64 of three of 9", LCN((9,) * 3, 2), {"diffrax": 4}, (64,)),
        flow_row("three 5×5, strides 2", big, {"diffrax": 2}),
    ]


def clock(run, times=1):
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def measure(row, seconds):
    """Medians of interleaved rounds, first calls, and agreement with the reference."""
    plan.cache_clear()
    out, runs, values = {}, {}, {}
    for name, make in row["run"].items():
        start = time.perf_counter()
        runs[name] = make()
        value = runs[name]()
        out[name] = {"first": time.perf_counter() - start}
        values[name] = None if value is None else np.asarray(value).reshape(-1)
    want = row["reference"]().reshape(-1) if "reference" in row else values["lcnlib"]
    size = np.abs(want).max()
    for name, value in values.items():
        if value is not None:
            error = float(np.abs(value - want).max() / size)
            assert error < row.get("tolerance", 1e-11), (row["work"], name, error)
            out[name]["error"] = error
    inner = {n: max(1, int(0.005 / max(clock(r), 1e-6))) for n, r in runs.items()}
    taken, spent = {n: [] for n in runs}, dict.fromkeys(runs, 0.0)
    # A contestant stops when its time is up; the slow ones then have few rounds.
    while open_ := [n for n in runs if spent[n] < seconds and len(taken[n]) < 200]:
        for name in open_:
            taken[name].append(clock(runs[name], inner[name]))
            spent[name] += taken[name][-1] * inner[name]
    for name, times in taken.items():
        out[name].update(median=median(times), min=min(times), rounds=len(times))
    return out


def verdicts(row, out):
    """Goal by goal: the best peer with FFT convolutions against lcnlib, on medians."""
    ours, answers = out["lcnlib"], []
    for goal, least in row["goals"].items():
        family, _, first = goal.partition(" ")
        field, small = ("first", "first") if first else ("median", "min")
        peer = min((n for n in out if n.startswith(family) and "shifts" not in n),
                   key=lambda n: out[n][field])
        answers.append({
            "against": peer, "when": "first call" if first else "warm", "goal": least,
            "ratio": out[peer][field] / ours[field],
            "ratio of minima": out[peer][small] / ours[small],
        })
    if "floor" in row:  # at most this many times what cannot be saved
        answers.append({
            "against": row["floor"], "when": "warm", "goal": 1 / FLOOR,
            "ratio": out[row["floor"]]["median"] / ours["median"],
            "ratio of minima": out[row["floor"]]["min"] / ours["min"],
        })
    return answers


def unit(seconds):
    scale, name = next(
        (u for u in ((1, "s"), (1e-3, "ms")) if seconds >= u[0]), (1e-6, "µs"))
    return f"{seconds / scale:.3g} {name}"


LINE = "{:34} {:23} {:>8} {:>8} {:>7} {:>8} {:>8}  {}"


def show(record):
    """The lines of one row: a contestant each, with the verdict on the goals against it."""
    ours, work = record["contestants"]["lcnlib"], record["work"]
    for name, c in record["contestants"].items():
        goals = [f"{'met' if v['ratio'] >= v['goal'] else 'MISSED'} ({v['goal']:.2g}"
                 + (f", first: {v['ratio']:.3g})" if v["when"] == "first call" else ")")
                 for v in record["goals"] if v["against"] == name]
        ratios = ("", "") if name == "lcnlib" else (
            f"{c['median'] / ours['median']:.2f}", f"{c['min'] / ours['min']:.2f}")
        error = f"{c['error']:.1e}" if "error" in c else ""
        print(LINE.format(work, name, unit(c["median"]), *ratios, unit(c["first"]), error,
                          "; ".join(goals)), flush=True)
        work = ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(LINE.format("work", "by", "median", "ratio", "minima", "first", "differs",
                      "goal, at least"))
    records = []
    for row in rows():
        if options.only not in row["work"]:
            continue
        out = measure(row, 0.3 if options.quick else 3)
        records.append({
            "work": row["work"], "n": int(np.prod(row["net"].end_to_end_shape)),
            "n_parameters": row["net"].n_parameters, "batch": row.get("batch", 1),
            "contestants": out, "goals": verdicts(row, out),
        })
        show(records[-1])
    if options.only:
        return
    curves = growth.measure(clock, 0.05 if options.quick else 0.4)
    growth.show(curves, unit)
    if options.quick:
        return
    result = {
        "machine": {"processor": platform.machine(), "cores": len(os.sched_getaffinity(0))
                    if hasattr(os, "sched_getaffinity") else os.cpu_count(),
                    "system": platform.system(), "python": platform.python_version()},
        "versions": {m.__name__: m.__version__ for m in
                     (np, peers.scipy, peers.jax, peers.diffrax, peers.torch)},
        "tolerances": {"rtol": RTOL, "atol": ATOL, "time": T},
        "rows": records, "growth": curves,
    }
    text = json.dumps(rounded(result), indent=1, ensure_ascii=False)
    RESULTS.write_text(text + "\n", encoding="utf-8")
    print(f"\nwrote {RESULTS.relative_to(ROOT)}")


def rounded(x):
    """Four digits are more than a clock can tell."""
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    if isinstance(x, list):
        return [rounded(v) for v in x]
    return float(f"{x:.4g}") if isinstance(x, float) else x


if __name__ == "__main__":
    main()
