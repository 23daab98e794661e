"""The API reference: every name once, labels that exist, links from prose to entries."""

import dataclasses
import inspect
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

import lcnlib
import lcnlib.display
from lcnlib import fully_connected, shallow_relu

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "ext"), str(ROOT / "tools")]
pytest.importorskip("sphinx", reason="sphinx builds the API reference")
import api  # noqa: E402
import statements  # noqa: E402


def documented():
    """Name -> object: what the page describes."""
    out = {f"lcnlib.{name}": getattr(lcnlib, name) for name in lcnlib.__all__}
    for module in (fully_connected, shallow_relu):
        out |= {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    return out | {f"lcnlib.display.{name}": getattr(lcnlib.display, name)
                  for name in ("explore", "touch", "Control")}


def prepared(value):
    lines = (inspect.getdoc(value) or "").split("\n")
    api.prepare(None, None, None, None, None, lines)
    return "\n".join(lines)


def test_every_name_stands_once_under_a_heading():
    groups = api.groups()
    names = [name for _, names in groups for name in names]
    assert names == lcnlib.__all__
    assert max(Counter(names).values()) == 1
    assert len(groups) >= 11
    assert len({title for title, _ in groups}) == len(groups)


def test_every_name_has_a_docstring_and_every_module_its_list():
    assert not [name for name, value in documented().items() if not inspect.getdoc(value)]


def test_labels_in_docstrings_become_links_to_statements():
    pages = "\n".join(text for _, text in statements.pages())
    labels = set()
    for name, value in documented().items():
        text = prepared(value)
        found = re.findall(r":prf:ref:`([\w-]+)`", text)
        assert len(found) == len(api.LABEL.findall(text)), name
        labels |= set(found)
    assert len(labels) > 25
    assert not {label for label in labels if f":label: {label}\n" not in pages}


def test_formulas_in_docstrings_are_plain_text():
    lines = ["w : ndarray, shape (*batch, |k|)", "* `a*b`, x_, *all*, W_1^T", "",
             "Examples", ">>> 2*3*4", "a*b", "", "a*b"]
    plain = [r"w : ndarray, shape (\*batch, \|k\|)", r"* `a*b`, x\_, *all*, W_1^T"]
    api.prepare(None, None, None, None, None, lines)
    assert lines == [*plain, "", "Examples", ">>> 2*3*4", "a*b", "", r"a\*b"]


@pytest.mark.parametrize(("text", "target"), [
    ("lcn.lift", "lcnlib.lift"),
    ("lcnlib.lift", "lcnlib.lift"),
    ("lcn.LCN(filter_shapes, strides)", "lcnlib.LCN"),
    ("lcn.QuadraticLoss.from_data", "lcnlib.QuadraticLoss.from_data"),
    ("lcn.fully_connected.siblings", "lcnlib.fully_connected.siblings"),
    ("lcn.name(net, …)", None),
    ("lcn.lift.nothing", None),
    ("rank", None),
    ("net.depth", None),
])
def test_code_in_prose_leads_to_its_entry(text, target):
    assert api.find(text) == target


def test_the_notation_page_leaves_the_prefix_out():
    assert api.find("rank", bare=True) == "lcnlib.rank"
    assert api.find("net.depth", bare=True) is None


def test_prose_calls_nothing_that_is_not_there():
    """Code such as ``lcn.name`` in prose names something of the library."""
    lost = set()
    for page, text in statements.pages():
        for code in re.findall(r"(?<!`)`(lcn\.[^`]+)`(?!`)", text):
            if not api.find(code) and code != "lcn.name(net, …)":
                lost.add((page, code))
    assert not lost


def test_records_cannot_be_changed():
    records = [x for m in (lcnlib, shallow_relu, fully_connected) for x in vars(m).values()
               if dataclasses.is_dataclass(x) and isinstance(x, type)]
    assert len(records) > 4
    for record in records:
        assert record.__dataclass_params__.frozen, record
