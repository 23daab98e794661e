"""Shared by all tests: figures are drawn without a screen; a browser, where one is asked for."""

import sys
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("agg")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))


@pytest.fixture(scope="session")
def chromium():
    import browser

    with browser.chromium() as running:
        yield running
