"""Change the library in one place at a time, and see whether a test notices.

usage: python tools/mutants.py [--seed N] [--count N] [--jobs N] [--minutes M]
                               [--module lcnlib/name.py ...]

A sample of `count` single changes (operators, comparisons, constants, dropped statements, dropped
arguments) is drawn with `seed`.  One run of the tests under coverage says which tests reach which
line, and how long each takes.  Then, for each change, the tests that reach its line run, the
quickest first, until one fails; a fork of a process that has imported NumPy, SciPy and pytest, so
that a change costs a second or two.  What survives these, and has no reason yet, meets all of the
tests that reach its line, the slow ones too.  A change that makes the tests take ten times as long
(in CPU seconds, so that a busy machine does not matter) counts as caught: it hangs, and a reader
would notice.  What survives is printed; `tests/survivors.toml` lists survivors that change no
answer, each with its reason.
"""

import argparse
import ast
import importlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BINARY = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*", ast.FloorDiv: "*",
          ast.Mod: "*", ast.MatMult: "*", ast.BitAnd: "|", ast.BitOr: "&"}
COMPARE = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
           ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in"}
# Tests of the library; those of the book, the pictures and the pages would take longer.
TESTS = ["lcnlib", "tests", "--ignore=lcnlib/display", *(
    f"--ignore=tests/{name}" for name in (
        "browser", "live", "test_api.py", "test_book_fixes.py", "test_chapters.py",
        "test_display.py", "test_explorables.py", "test_figures.py", "test_glossary.py",
        "test_house.py", "test_import.py", "test_only_changed.py",
        "test_live.py", "test_notebooks.py", "test_package.py", "test_plain_build.py",
        "test_publishing.py", "test_readme.py", "test_statements.py", "test_story.py",
        "test_translate.py"))]
SLOW = 0.3  # CPU seconds of all cases of one test, after which no more are run for coverage
LATE = "it takes too long"
ENOUGH = 20  # CPU seconds of tests for one change, at first; then all that reach it
UNKNOWN = 10  # CPU seconds, at most, of a case that has not been timed


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


def compiles(text):
    try:
        compile(text, "", "exec")
    except SyntaxError:  # no program: not a mutant
        return False
    return True


def mutants(root, paths):
    """(file, line, what, new source, code); the second equal change of a line is "what (2)"."""
    for path in paths:
        source, equal = path.read_text(encoding="utf-8"), Counter()
        lines = source.splitlines()
        for line, what, new in changes(source):
            if new is not None and new != source:
                equal[line, what] += 1
                place = f" ({equal[line, what]})" if equal[line, what] > 1 else ""
                yield (path.relative_to(root).as_posix(), line, what + place, new,
                       lines[line - 1].strip())


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


def family(test):
    """The test of which this is a case; of the table of properties, a row."""
    return test.split("-" if "test_properties" in test else "[")[0]


class Reach:
    """A pytest plugin: which lines each test reaches, and its CPU seconds."""

    def __init__(self):
        import coverage

        self.coverage = coverage.Coverage(data_file=None, source=["lcnlib"], config_file=False)
        self.seconds, self.families, self.skipped = {}, {}, {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        name = family(item.nodeid)
        # Of a slow test the first cases will do.
        if self.families.get(name, 0) > SLOW:
            item.add_marker(pytest.mark.skip(reason="slow"))
            self.skipped.setdefault(name, []).append(item.nodeid)
        self.coverage.switch_context(item.nodeid)
        start = time.process_time()
        try:
            return (yield)
        finally:
            spent = time.process_time() - start
            self.seconds[item.nodeid] = spent
            self.families[name] = self.families.get(name, 0) + spent
            self.coverage.switch_context("")


def reach(place, tests):
    """(file, line) -> the tests that reach it, the quickest first; and the seconds of each."""
    plugin = Reach()
    plugin.coverage.start()
    code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:nbval",
                        "-p", "no:randomly", *tests], plugins=[plugin])
    plugin.coverage.stop()
    if code:
        sys.exit("the tests fail as they are: there is nothing to find out")
    data, out = plugin.coverage.get_data(), {}
    for file in data.measured_files():
        name = Path(file).relative_to(place).as_posix()
        for line, contexts in data.contexts_by_lineno(file).items():
            out[f"{name}:{line}"] = sorted({c for c in contexts if c}, key=plugin.seconds.get)
    return {"lines": out, "seconds": plugin.seconds, "skipped": plugin.skipped}


def forked(work, *args, cpu=None):
    """What `work` returns, in a process of its own; None when it runs out of CPU seconds."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            if cpu:
                resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 2))
            if cpu:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with os.fdopen(write, "w") as out:
                out.write(json.dumps(work(*args)))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def try_one(place, mutant, found, thorough=False):
    """Whether some test fails with this change, and how that was seen."""
    name, line, _, new, _ = mutant
    tests, spent = [], 0.0
    reaching = found["lines"].get(f"{name}:{line}")
    if not reaching:  # run at import, or a line within a statement: all that meets the module
        there = (t for key, t in found["lines"].items() if key.startswith(f"{name}:"))
        reaching = sorted({x for t in there for x in t}, key=found["seconds"].get)
    for test in reaching:
        spent += found["seconds"][test]
        if tests and spent > ENOUGH and not thorough:
            break
        tests.append(test)
    if thorough:
        more = [x for name in sorted(set(map(family, tests)))
                for x in found["skipped"].get(name, ()) if x not in tests]
        tests, spent = tests + more, spent + UNKNOWN * len(more)
    if not tests:
        return False, "no test reaches it"
    path = place / name
    old = path.read_text(encoding="utf-8")
    path.write_text(new, encoding="utf-8")
    try:
        code = forked(lambda: int(pytest.main([
            "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:nbval",
            "-p", "no:randomly", *tests])), cpu=20 + 10 * spent)
    finally:
        path.write_text(old, encoding="utf-8")
    if code is None:
        return True, LATE
    return code != 0, f"{len(tests)} tests"


def settle(places):
    """Each worker has a copy of its own: a change is made in the file itself."""
    place = places.get()
    os.chdir(place)
    sys.path[0] = os.environ["PYTHONPATH"] = str(place)


def attempt(mutant, found, end, thorough):
    """(mutant, caught, how), or None when the time is over."""
    if time.monotonic() > end:
        return None
    return mutant, *try_one(Path.cwd(), mutant, found, thorough)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2, help="so many changes at a time")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
    parser.add_argument("--module", nargs="*")
    parser.add_argument("--tests", nargs="*", default=TESTS)
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        place = copy_of(ROOT, Path(folder, "copy"))
        os.chdir(place)
        sys.path.insert(0, str(place))
        sys.dont_write_bytecode = True
        for name in ("matplotlib.pyplot", "numpy", "scipy.integrate", "scipy.optimize",
                     "scipy.signal", "sympy"):
            importlib.import_module(name)  # what every fork then has
        os.environ |= {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1",
                       "MPLBACKEND": "agg"}
        paths = [place / m for m in arguments.module or []] or [
            p for p in sorted((place / "lcnlib").rglob("*.py"))
            if "display" not in p.parts and p.name != "__init__.py"]
        sample = list(mutants(place, paths))
        possible = {(name, code, what) for name, _, what, _, code in sample}
        print(f"{len(sample)} possible changes; {arguments.count} of them, seed {arguments.seed}",
              flush=True)
        random.Random(arguments.seed).shuffle(sample)
        sample = list(islice((m for m in sample if compiles(m[3])), arguments.count))
        found = forked(reach, place, arguments.tests)
        if found is None:
            sys.exit("the tests fail as they are")
        print(f"{len(found['seconds'])} tests, {sum(found['seconds'].values()):.0f} CPU seconds",
              flush=True)
        context = multiprocessing.get_context("fork")
        places = context.Queue()
        copies = [copy_of(ROOT, Path(folder, f"copy{k}")) for k in range(arguments.jobs)]

        def tried(sample, thorough):
            """(change, caught, how) for those that there was time for."""
            for copy in copies:
                places.put(copy)
            out, work = [], partial(attempt, found=found, end=end, thorough=thorough)
            with context.Pool(arguments.jobs, settle, (places,)) as pool:
                for result in filter(None, pool.imap_unordered(work, sample)):
                    out.append(result)
                    mutant, caught, how = result
                    if not caught:
                        print(f"survives: {mutant[0]}:{mutant[1]} {mutant[2]} ({how})", flush=True)
                    if len(out) % 10 == 0:
                        print(f"{len(out)} of {len(sample)} tried", flush=True)
            return out

        results = tried(sample, thorough=False)
        known = tomllib.loads((ROOT / "tests" / "survivors.toml").read_text(encoding="utf-8"))
        reasons = {(x["file"], x["code"], x["change"]): x["reason"]
                   for x in known.get("survivor", [])}
        survivors = [m for m, caught, _ in results if not caught]
        unclear = [m for m in survivors if (m[0], m[4], m[2]) not in reasons]
        print(f"{len(unclear)} without a reason: now all tests", flush=True)
        again = {m: caught for m, caught, _ in tried(unclear, thorough=True)}
        survivors = [m for m in survivors if not again.get(m)]
    count, slow = len(results), sum(how == LATE for *_, how in results)
    unexplained = []
    for mutant in survivors:
        name, line, what, _, code = mutant
        reason = reasons.get((name, code, what))
        print(f"{name}:{line}: {what}: {code}\n    {reason or 'NO REASON KNOWN'}")
        unexplained += [name] * (reason is None)
    for name, text, what in sorted(set(reasons) - possible) if not arguments.module else ():
        print(f"no such change any more: {name}: {what}: {text}")
    matter = count - (len(survivors) - len(unexplained))
    share = 1 - len(unexplained) / max(1, matter)
    print(f"seed {arguments.seed}: {count} of {len(sample)} changes tried, {slow} caught by their "
          f"time; {len(survivors)} survive, {len(unexplained)} of them without a reason: "
          f"{share:.1%} of what matters is caught")
    return share < 0.97


if __name__ == "__main__":
    sys.exit(main())
