"""Every figure of the chapters has its check in tests/figures.py, which nbval's run carries out."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from . import figures

BOOK = Path(__file__).resolve().parents[1] / "book"


def test_every_figure_of_a_chapter_is_checked():
    found = {}
    for path in sorted(BOOK.glob("[01][0-9]_*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if "figure" in cell["metadata"].get("mystnb", {}):
                found[cell["metadata"]["mystnb"]["figure"]["name"]] = "".join(cell["source"])
    known = set(figures.CHECKS) | set(figures.WITHOUT)
    assert set(found) <= known, "write a check in tests/figures.py"
    assert not known - set(found) and not set(figures.CHECKS) & set(figures.WITHOUT)
    # Where the check goes in: conftest.py.
    assert all(len(re.findall(r"^plt\.show\(\)$", s, re.M)) == 1 for s in found.values())


def test_a_picture_upside_down_fails():
    fig, ax = plt.subplots()
    ax.plot([0, 1, 2], [14, 13, 12], "o")
    figures.check("fig-laws-staircase", *two(fig))
    ax.lines[0].set_ydata([-14, -13, -12])
    with pytest.raises(AssertionError):
        figures.check("fig-laws-staircase", *two(fig))
    plt.close(fig)


def two(fig):
    fig.axes[0].lines[0].set_xdata([1, 2, 3])
    return fig, {}


def test_a_check_that_sees_nothing_fails(monkeypatch):
    monkeypatch.setitem(figures.CHECKS, "blind", (lambda fig, names: None, "y"))
    with pytest.raises(AssertionError, match="upside down"):
        figures.check("blind", plt.figure(), {})
    plt.close("all")
