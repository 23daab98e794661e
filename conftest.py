"""Doctests see the public names of lcnlib, as a reader does after ``from lcnlib import *``."""

import pytest

import lcnlib


@pytest.fixture(autouse=True)
def public_names(doctest_namespace):
    doctest_namespace.update({name: getattr(lcnlib, name) for name in lcnlib.__all__})
