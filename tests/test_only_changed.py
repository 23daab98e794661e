"""Pages that are written after a change: ext/only_changed.py on a small book."""

import subprocess
import sys
from pathlib import Path

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


def test_what_is_written_after_a_change(tmp_path):
    (tmp_path / "conf.py").write_text(CONF)
    for name, text in PAGES.items():
        (tmp_path / f"{name}.rst").write_text(text)
    build(tmp_path)
    assert build(tmp_path) == (set(), "")
    # A paragraph: its own page.
    change(tmp_path, "one", "Words.", "Other words.")
    assert build(tmp_path) == ({"one"}, "")
    change(tmp_path, "three", "Words", "A paragraph more.\n\nOther words")
    assert build(tmp_path) == ({"three"}, "")
    # A title, or a number, that others show: all of them.
    for old, new, seen in (
            ("A title\n=======", "Another title\n=============", "Another title"),
            ("Other words.", ".. math:: y = 1\n   :label: y", "(1.2)")):
        change(tmp_path, "one", old, new)
        assert build(tmp_path) == (set(PAGES) - {"index"}, "")
        assert seen in (tmp_path / "out" / "two.html").read_text()
    # A reference to what is gone is found on a page that has not changed.
    change(tmp_path, "one", ".. _here:", ".. _there:")
    written, said = build(tmp_path)
    assert written == set(PAGES) - {"index"} and "two.rst" in said and "here" in said
