"""Doctests see the public names of lcnlib, as a reader does after ``from lcnlib import *``."""

from pathlib import Path

import pytest

import lcnlib
from tests import figures

ROOT = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def public_names(doctest_namespace):
    doctest_namespace.update({name: getattr(lcnlib, name) for name in lcnlib.__all__})


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """With ``-n`` a file stays in one process: the cells of a notebook share their kernel."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadfile"


def pytest_collection_modifyitems(items):
    """In the cell of a figure, what is drawn is checked before it is shown: tests/figures.py."""
    for item in items:
        cell = getattr(item, "cell", None)
        name = cell and cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        if name in figures.CHECKS:
            checked = (f"__import__('sys').path.append({str(ROOT)!r})\n"
                       "__import__('tests.figures').figures.check("
                       f"{name!r}, plt.gcf(), globals())\nplt.show()")
            assert cell.source.count("plt.show()") == 1, name
            cell.source = cell.source.replace("plt.show()", checked)
