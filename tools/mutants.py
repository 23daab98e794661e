"""Change the library in one place at a time, and see whether a test notices.

usage: python tools/mutants.py [--seed N] [--count N] [--module lcnlib/name.py ...]

A sample of `count` single changes (operators, comparisons, constants, dropped statements, dropped
arguments) is drawn with `seed`.  For each, only the tests run that reach the changed line, by one
run of the whole suite under coverage.  What survives is printed; `tests/survivors.toml` lists
survivors of earlier samples that change no answer, each with its reason.
"""

import argparse
import ast
import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINARY = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*", ast.FloorDiv: "*",
          ast.Mod: "*", ast.MatMult: "*", ast.BitAnd: "|", ast.BitOr: "&"}
COMPARE = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
           ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in"}
TESTS = ["lcnlib", "tests", "--ignore=tests/browser", "--ignore=tests/live"]


def quiet_lines(tree):
    """Lines of docstrings and error messages, which no change may touch."""
    out = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            out.update(range(node.lineno, node.end_lineno + 1))
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(
                body[0].value, ast.Constant):
            out.update(range(body[0].lineno, body[0].end_lineno + 1))
    return out


def changes(source):
    """(line, what, new source) for every single change of a module's source."""
    tree, lines = ast.parse(source), source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    data, quiet = source.encode(), quiet_lines(tree)

    def at(node, end=False):
        line, column = (node.end_lineno, node.end_col_offset) if end else (
            node.lineno, node.col_offset)
        return starts[line - 1] + column

    def cut(a, b, text):
        return (data[:a] + text.encode() + data[b:]).decode()

    def between(left, right, old, new):
        a, b = at(left, True), at(right)
        gap = data[a:b].decode()
        return cut(a, b, gap.replace(old, new, 1)) if old in gap else None

    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if not line or line in quiet:
            continue
        if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
            old = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**",
                   ast.FloorDiv: "//", ast.Mod: "%", ast.MatMult: "@", ast.BitAnd: "&",
                   ast.BitOr: "|"}[type(node.op)]
            new = BINARY[type(node.op)]
            yield line, f"{old} to {new}", between(node.left, node.right, old, new)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARE:
            new = COMPARE[type(node.ops[0])]
            a, b = at(node.left, True), at(node.comparators[0])
            yield line, f"comparison to {new}", cut(a, b, f" {new} ")
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            value = node.value
            new = not value if isinstance(value, bool) else (
                value + 1 if isinstance(value, int) else value * 2 or 1.0)
            yield line, f"{value!r} to {new!r}", cut(at(node), at(node, True), repr(new))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            yield line, "sign or not dropped", cut(at(node), at(node.operand), "")
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield line, f"{old} to {new}", between(node.values[0], node.values[1], old, new)
        elif isinstance(node, ast.Expr | ast.AugAssign) and not isinstance(
                getattr(node, "value", None), ast.Constant):
            yield line, "statement dropped", cut(at(node), at(node, True), "pass")
        elif isinstance(node, ast.Call) and node.keywords and node.keywords[-1].arg:
            last = node.keywords[-1]
            before = data[:at(last)].rstrip().removesuffix(b",")
            yield line, f"argument {last.arg} dropped", (before + data[at(last, True):]).decode()


def mutants(paths):
    for path in paths:
        source = path.read_text(encoding="utf-8")
        for line, what, new in changes(source):
            if new is None or new == source:
                continue
            try:
                compile(new, str(path), "exec")
            except SyntaxError:
                continue
            yield path.relative_to(ROOT).as_posix(), line, what, new


def copy_of(root, place):
    """What the tests need, in `place`."""
    place.mkdir()
    for name in ("lcnlib", "tests", "tools", "book", "live", "explorables", "ext", ".github"):
        if (root / name).exists():
            shutil.copytree(root / name, place / name, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("__pycache__", "*.ipynb_checkpoints"))
    for path in root.glob("*"):
        if path.is_file():
            shutil.copy(path, place / path.name)
    (place / ".git").mkdir(exist_ok=True)
    return place


def environment(place):
    return {**os.environ, "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg"}


def reach(place):
    """(file, line) -> the tests that reach it, the quickest files first."""
    import coverage

    (place / ".coveragerc").write_text("[run]\ndynamic_context = test_function\nsource = lcnlib\n")
    subprocess.run([sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q", "-p",
                    "no:cacheprovider", *TESTS], cwd=place, env=environment(place), check=True)
    data = coverage.CoverageData(str(place / ".coverage"))
    data.read()
    out = {}
    for file in data.measured_files():
        name = Path(file).relative_to(place).as_posix()
        for line, contexts in data.contexts_by_lineno(file).items():
            out[name, line] = sorted({c for c in contexts if c})
    return out


def selected(contexts):
    """Test files that hold the contexts ``tests.test_x.test_y``; doctests where there are none."""
    files = {c.split(".test_")[1].split(".")[0] for c in contexts if ".test_" in c}
    return [f"tests/test_{name}.py" for name in sorted(files)]


def try_one(place, mutant, contexts, limit):
    """Whether some test fails with this change."""
    name, _, _, new = mutant
    path = place / name
    old = path.read_text(encoding="utf-8")
    path.write_text(new, encoding="utf-8")
    names = sorted({c.rpartition(".")[2] for c in contexts})
    tests = selected(contexts) or [name]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests, name]
    if 0 < len(names) <= 40:
        command += ["-k", " or ".join([*names, Path(name).stem])]
    try:
        done = subprocess.run(command, cwd=place, env=environment(place), timeout=limit,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode not in (0, 5)
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(old, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--limit", type=float, default=600, help="seconds for one change")
    parser.add_argument("--module", nargs="*")
    arguments = parser.parse_args()
    paths = [ROOT / m for m in arguments.module or []] or [
        p for p in sorted((ROOT / "lcnlib").rglob("*.py"))
        if "display" not in p.parts and p.name != "__init__.py"]
    known = tomllib.loads((ROOT / "tests" / "survivors.toml").read_text(encoding="utf-8"))
    sample = list(mutants(paths))
    print(f"{len(sample)} possible changes; {arguments.count} of them, seed {arguments.seed}")
    sample = random.Random(arguments.seed).sample(sample, min(arguments.count, len(sample)))
    with tempfile.TemporaryDirectory() as folder:
        places = [copy_of(ROOT, Path(folder, str(i))) for i in range(os.cpu_count() or 1)]
        lines = reach(places[0])
        free = list(places)

        def work(mutant):
            place = free.pop()
            try:
                return mutant, try_one(place, mutant, lines.get(mutant[:2], []), arguments.limit)
            finally:
                free.append(place)

        with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
            survivors = []
            for n, (mutant, caught) in enumerate(pool.map(work, sample), 1):
                if not caught:
                    survivors.append(mutant)
                    print(f"survives: {mutant[0]}:{mutant[1]} {mutant[2]}", flush=True)
                if n % 25 == 0:
                    print(f"{n} tried, {len(survivors)} survive", flush=True)
    reasons = {(s["file"], s["code"], s["change"]): s["reason"]
               for s in known.get("survivor", [])}
    unexplained = []
    for name, line, what, _ in survivors:
        code = (ROOT / name).read_text(encoding="utf-8").splitlines()[line - 1].strip()
        reason = reasons.get((name, code, what))
        print(f"{name}:{line}: {what}: {code}\n    {reason or 'NO REASON KNOWN'}")
        unexplained += [name] * (reason is None)
    tried = len(sample) - (len(survivors) - len(unexplained))
    share = 1 - len(unexplained) / max(1, tried)
    print(f"seed {arguments.seed}: {len(sample)} changes, {len(survivors)} survive, "
          f"{len(unexplained)} of them without a reason: {share:.1%} of what matters is caught")
    return share < 0.97


if __name__ == "__main__":
    sys.exit(main())
