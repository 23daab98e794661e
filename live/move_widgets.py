"""Moves every control of a chapter's widgets, with a kernel, and times the pictures.

Used natively (benchmarks/pages.py) and under Pyodide (run_chapters.mjs).
"""

import itertools
import time

import ipywidgets as W

from lcnlib.display import explore


def recorder(made):
    """An `explore` that also appends what it returns to the list `made`."""
    def record(*args, **kwargs):
        made.append(explore(*args, **kwargs))
        return made[-1]

    return record


def other_values(handle):
    """Values to move a handle to, also between those of the built page; the last is its own."""
    if isinstance(handle, W.IntSlider):
        return [*(n for n in (handle.min, handle.max) if n != handle.value), handle.value]
    if isinstance(handle, W.FloatSlider):
        low, high = handle.min, handle.max
        return [low + (high - low) * part for part in (0.31, 0.77)] + [handle.value]
    return [*(value for _, value in handle.options if value != handle.value), handle.value]


def move(made, clock=time.process_time):
    """Move everything; a line for each control, with its pictures' seconds of processor time.

    The times are told, never judged: a test that fails on a busy machine says nothing.
    """
    for k, box in enumerate(made):
        *handles, picture = box.children
        for handle in handles:
            times = []
            for value in itertools.islice(itertools.cycle(other_values(handle)), 4):
                before, start = picture.value, clock()
                handle.value = value
                times.append(clock() - start)
                assert picture.value != before, f"{handle.description}: nothing changes"
            yield (f"widget {k}, {handle.description}: {1000 * min(times):.0f} to "
                   f"{1000 * max(times):.0f} ms")
