"""lcnlib against JAX, torch and SciPy with autograd: one table from one run (`make bench`).

Every row is the same work on the same numbers in float64.  After the first call, which is timed
apart because it compiles or plans, all contestants take turns, so that other work on the
machine meets all of them; the first call of a turn, on caches that the others filled, does not
count; the table shows medians.  Results are compared before anything is timed.
Lines that begin with "its" are no contestants but parts of our own work, timed alone: floors.
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
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import growth  # noqa: E402
import peers  # noqa: E402
from rows import ATOL, RTOL, T, rows  # noqa: E402

RESULTS = ROOT / "lcnlib" / "benchmarks.json"
# K g for large filters: at most this many times the cost of its real FFTs.
FLOOR = 1.3


def clock(run, times=1):
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def measure(row, seconds):
    """Medians of interleaved rounds, first calls, and agreement with the reference."""
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
    inner = {n: max(1, int(0.02 / max(clock(r), 1e-6))) for n, r in runs.items()}
    taken, spent = {n: [] for n in runs}, dict.fromkeys(runs, 0.0)
    # A contestant stops when its time is up; the slow ones then have few rounds.
    while open_ := [n for n in runs if spent[n] < seconds and len(taken[n]) < 200]:
        for name in open_:
            runs[name]()
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
