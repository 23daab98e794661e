"""Every widget of every chapter with a kernel: each control draws anew, and fast."""

import itertools
import time
from pathlib import Path

import ipywidgets as W
import matplotlib.pyplot as plt
import nbformat
import pytest

import lcnlib.display

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
# 0.1 s is promised on a machine with nothing else to do; tests share theirs with a build.
LIMIT = 0.25  # seconds of processor time


def live_widgets(path, monkeypatch):
    """Run the chapter up to its last widget; what `explore` returned, as in JupyterLab."""
    monkeypatch.delenv("LCN_BOOK_STATIC", raising=False)
    monkeypatch.chdir(path.parent)
    made, explore = [], lcnlib.display.explore

    def record(*args, **kwargs):
        made.append(explore(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(lcnlib.display, "explore", record)
    cells = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    last = max((i for i, source in enumerate(cells) if "explore(" in source), default=-1)
    names = {"__name__": "__main__"}
    for source in cells[:last + 1]:
        exec(compile(source, path.name, "exec"), names)
        plt.close("all")
    return made


def other_values(handle):
    """Values to move a handle to, also between those of the built page; the last is its own."""
    if isinstance(handle, W.IntSlider):
        return [*(n for n in (handle.min, handle.max) if n != handle.value), handle.value]
    if isinstance(handle, W.FloatSlider):
        low, high = handle.min, handle.max
        return [low + (high - low) * part for part in (0.31, 0.77)] + [handle.value]
    return [*(value for _, value in handle.options if value != handle.value), handle.value]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_each_control_moves_its_picture_at_once(path, monkeypatch):
    with plt.rc_context():
        widgets = live_widgets(path, monkeypatch)
        assert widgets, "the chapter has no widget"
        slow = []
        for k, box in enumerate(widgets):
            *handles, picture = box.children
            for handle in handles:
                times = []
                for value in itertools.islice(itertools.cycle(other_values(handle)), 4):
                    before, start = picture.value, time.process_time()
                    handle.value = value
                    times.append(time.process_time() - start)
                    assert picture.value != before, f"{handle.description}: nothing changes"
                print(f"widget {k}, {handle.description}: {1000 * min(times):.0f} to "
                      f"{1000 * max(times):.0f} ms")
                if min(times) > LIMIT:
                    slow.append(f"widget {k}, {handle.description}: {min(times):.2f} s")
        assert not slow, "\n".join(slow)
