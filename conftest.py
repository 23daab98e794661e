"""Doctests see the public names of lcnlib, as a reader does after ``from lcnlib import *``."""

import pytest

import lcnlib


@pytest.fixture(autouse=True)
def public_names(doctest_namespace):
    doctest_namespace.update({name: getattr(lcnlib, name) for name in lcnlib.__all__})


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """With ``-n`` a file stays in one process: the cells of a notebook share their kernel."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadfile"
