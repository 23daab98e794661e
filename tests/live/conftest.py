"""The book built by `make live` (folder LCN_BOOK_HTML, else _build/html), in a Chromium that
reaches nothing but this machine."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HTML = Path(os.environ.get("LCN_BOOK_HTML", ROOT / "_build" / "html"))
sys.path.insert(0, str(ROOT / "tools"))

import browser as tools  # noqa: E402


@pytest.fixture(scope="session")
def html():
    if not (HTML / "lite").exists():
        pytest.fail(f"there is no live book in {HTML}: run `make live` first")
    return HTML


@pytest.fixture(scope="session")
def chromium():
    with tools.chromium() as browser:
        yield browser
