"""The rules of the house: imports go down, and what is private stays where it is."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss

ROOT = Path(lcn.__file__).parent
# Everybody may import these.
GROUND = {"errors", "network"}


def imports():
    """(importing module, imported module, names) inside of lcnlib, without display."""
    for path in sorted(ROOT.rglob("*.py")):
        here = path.relative_to(ROOT).with_suffix("").parts
        if here[0] in ("display", "__init__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = here[: len(here) - node.level]
                target = (*base, *(node.module or "").split(".")) if node.module else base
                yield here, target, [a.name for a in node.names]


def level(module):
    return {"_core": 0, "_algebra": 1}.get(module[0], 2)


def test_imports_go_down():
    for here, target, _ in imports():
        if target[0] not in GROUND:
            assert level(target) <= level(here), (here, target)
        assert target[0] != "display"


def test_no_circles():
    graph = {}
    for here, target, _ in imports():
        graph.setdefault(here, set()).add(target)

    def below(module, path):
        assert module not in path, path
        for other in graph.get(module, ()):
            below(other, (*path, module))

    for module in graph:
        below(module, ())


def test_no_private_name_crosses():
    for here, target, names in imports():
        assert not [n for n in names if n.startswith("_")], (here, target, names)


def test_tests_and_benchmarks_look_inside_in_one_place_each():
    """Behaviour is tested, not the engine: an engine can be exchanged."""
    root = Path(__file__).parents[1]
    inside = {p for folder in ("tests", "benchmarks")
              for p in (root / folder).rglob("*.py") if re.search(
                  r"^\s*(from|import) lcnlib(\.\w+)*\._", p.read_text(encoding="utf-8"), re.M)}
    assert inside == {root / "benchmarks" / "rows.py", *root.glob("tests/core/test_*.py")}


class Once:
    """An array that counts how often it is converted, which is what a check does first."""

    def __init__(self, array, count):
        self.array, self.count = np.asarray(array, float), count

    def __array__(self, dtype=None, copy=None):
        self.count.append(1)
        return self.array


@pytest.mark.parametrize("name", ["gradient_flow", "riemannian_gradient", "lift", "geodesic"])
def test_filters_are_checked_once(name):
    net, loss = LCN((3, 2), 2), QuadraticLoss([1.0, 2, 3, 2, 1])
    w, count = lcn.random_filters(net, 0), []
    v = lcn.end_to_end(net, w)
    filters = [Once(x, count) for x in w]
    {
        "gradient_flow": lambda: lcn.gradient_flow(net, loss, filters, [0, 1]),
        "riemannian_gradient": lambda: lcn.riemannian_gradient(net, filters, loss),
        "lift": lambda: lcn.lift(net, v, [0.0], guess=filters),
        "geodesic": lambda: lcn.geodesic(net, filters, v, [0.1]),
    }[name]()
    assert len(count) == net.depth


def test_errors_that_are_swallowed_say_why():
    """An `except` that raises nothing has a comment beside it; a skip has its reason."""
    silent = []
    for path in sorted(p for d in ("lcnlib", "tools", "ext", "tests", "live", "benchmarks")
                       for p in (ROOT.parent / d).rglob("*.py")):
        lines = path.read_text(encoding="utf-8").split("\n")
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.ExceptHandler) and not any(
                    isinstance(inner, ast.Raise) for inner in ast.walk(node)):
                if not any("#" in line for line in lines[node.lineno - 2:node.body[0].lineno]):
                    silent.append(f"{path.relative_to(ROOT.parent)}:{node.lineno}")
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                    ("skip", "skipif", "importorskip")) and not (
                    node.keywords or (node.func.attr == "skip" and node.args)):
                silent.append(f"{path.relative_to(ROOT.parent)}:{node.lineno}")
    assert not silent
