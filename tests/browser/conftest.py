"""The built book (folder LCN_BOOK_HTML, else _build/html), a web server and a browser."""

import os
import re
import sys
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

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


# Files whose tests share what takes long: a JupyterLab, a small book, an engine, reading pages.
TOGETHER = "test_engines.py", "test_lab", "test_pdf.py", "test_publishing.py", "test_site.py"


def shares(nodeid):
    """What shares its process: such a file, one engine of several; else a test by itself."""
    file, _, name = nodeid.partition("::")
    if not file.startswith(("tests/browser/", "tests/live/")):
        return file  # the cells of a notebook, say
    if not Path(file).name.startswith(TOGETHER):
        return nodeid
    if "test_site" in file:
        return file.replace("test_site", "test_publishing")  # it reads the same pages
    engine = re.search(r"\[(firefox|webkit)", name) if "test_engines" in file else None
    return f"{file} {engine[1]}" if engine else file


class Fair(LoadScopeScheduling):
    """No process waits at the end: first what shares its process, then chapters that
    start Python (tests/live), then single tests."""

    def _split_scope(self, nodeid):
        return shares(nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config, log):
    if config.option.dist == "loadfile":
        config.option.loadscopereorder = False
        return Fair(config, log)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: (shares(item.nodeid) == item.nodeid, "live/" not in item.nodeid))


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
