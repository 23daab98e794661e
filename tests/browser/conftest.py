"""The built book (folder LCN_BOOK_HTML, else _build/html), a web server and a browser."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HTML = Path(os.environ.get("LCN_BOOK_HTML", ROOT / "_build" / "html"))
sys.path.insert(0, str(ROOT / "tools"))

import browser as tools  # noqa: E402


def built_pages():
    """Every page that a reader can open, as a path inside the book."""
    files = sorted(p.relative_to(HTML) for p in HTML.rglob("*.html"))
    # JupyterLite, beside the book after `make live`, is no page of the book.
    return [str(p) for p in files if p.parts[0] != "lite" and not p.parts[0].startswith("_")]


def pytest_generate_tests(metafunc):
    if "page_name" in metafunc.fixturenames:
        pages = [p for p in built_pages() if p != "index.html"]  # that one only leads on
        metafunc.parametrize("page_name", pages or ["no-built-book"])


@pytest.fixture(scope="session")
def html():
    if not (HTML / "index.html").exists():
        pytest.fail(f"there is no built book in {HTML}: run `make book` first, or `make test`")
    return HTML


@pytest.fixture(scope="session")
def pages(html):
    return built_pages()


@pytest.fixture(scope="session")
def base(html):
    with tools.serve(html) as address:
        yield address


@pytest.fixture(scope="session")
def chromium():
    with tools.chromium() as browser:
        yield browser
