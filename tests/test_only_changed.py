"""Pages that are written after a change: ext/only_changed.py on a small book."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONF = f"""import sys
sys.path.insert(0, {str(ROOT / "ext")!r})
extensions = ["only_changed"]
numfig = True
"""
PAGES = {"index": "Book\n====\n\n.. toctree::\n   :numbered:\n\n   one\n   two\n   three\n",
         "one": ".. _here:\n\nA title\n=======\n\nWords.\n\n.. math:: x = 1\n   :label: x\n",
         "two": "Second\n======\n\nSee :ref:`here` and :eq:`x`.\n",
         "three": "Third\n=====\n\nWords of a page that nobody refers to.\n"}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    (folder / "conf.py").write_text(CONF)
    for name, text in PAGES.items():
        (folder / f"{name}.rst").write_text(text)
    build(folder)
    return folder


def build(folder):
    """Names of the pages that have been written, and what was said on stderr."""
    before = {p: p.stat().st_mtime_ns for p in folder.glob("out/*.html")}
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", folder, folder / "out"],
                          capture_output=True, text=True)
    assert not done.returncode, done.stderr
    now = {p: p.stat().st_mtime_ns for p in folder.glob("out/*.html")}
    # Written in any case: two without a source, and the page whose contents list the others.
    always = {"genindex", "search", "index"}
    return {p.stem for p in now if before.get(p) != now[p]} - always, done.stderr


def change(folder, name, old, new):
    path = folder / f"{name}.rst"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_changed_paragraph_writes_its_own_page(book):
    assert build(book) == (set(), "")
    change(book, "one", "Words.", "Other words.")
    assert build(book) == ({"one"}, "")
    change(book, "three", "Words", "A paragraph more.\n\nOther words")
    assert build(book) == ({"three"}, "")


@pytest.mark.parametrize(("name", "old", "new", "seen"), [
    ("one", "A title\n=======", "Another title\n=============", "Another title"),
    ("one", "Other words.", ".. math:: y = 1\n   :label: y", "(1.2)")])
def test_what_others_show_of_it_writes_all_pages(book, name, old, new, seen):
    change(book, name, old, new)
    assert build(book) == (set(PAGES) - {"index"}, "")
    assert seen in (book / "out" / "two.html").read_text()


def test_a_reference_to_what_is_gone_is_found(book):
    change(book, "one", ".. _here:", ".. _there:")
    written, said = build(book)
    assert written == set(PAGES) - {"index"} and "two.rst" in said and "here" in said
