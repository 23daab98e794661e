"""Every widget of frames of every chapter, with a kernel: each control draws anew."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

import lcnlib.display

ROOT = Path(__file__).resolve().parents[1]
# The others have a picture to drag only, which tests/browser/test_explorables.py moves.
CHAPTERS = [p for p in sorted((ROOT / "book").glob("*.ipynb"))
            if "explore(" in p.read_text(encoding="utf-8")]

sys.path.insert(0, str(ROOT / "live"))

import move_widgets  # noqa: E402


def test_every_page_has_a_picture_to_move():
    still = [p.stem for p in (ROOT / "book").glob("*.ipynb")
             if p not in CHAPTERS and "touch(" not in p.read_text(encoding="utf-8")]
    assert len(CHAPTERS) >= 15 and not still


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_each_control_moves_its_picture(path, monkeypatch):
    monkeypatch.delenv("LCN_BOOK_STATIC", raising=False)
    monkeypatch.chdir(path.parent)
    made = []
    monkeypatch.setattr(lcnlib.display, "explore", move_widgets.recorder(made))
    cells = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    last = max((i for i, source in enumerate(cells) if "explore(" in source), default=-1)
    names = {"__name__": "__main__"}
    with plt.rc_context():
        for source in cells[:last + 1]:
            exec(compile(source, path.name, "exec"), names)
            plt.close("all")
        assert made, "the chapter has no widget"
        # It asserts that every picture changes; how soon is measured by `make bench`.
    print("\n".join(move_widgets.move(made)))
