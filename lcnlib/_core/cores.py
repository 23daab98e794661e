"""Large work in pieces, on all the cores that this process may use."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache


def count():
    """Cores to use: OMP_NUM_THREADS where it is set, as the libraries under NumPy do."""
    if sys.platform == "emscripten":  # no threads in the browser
        return 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdigit() and int(asked):
        return int(asked)
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(usable(0)) if usable else os.cpu_count() or 1


CORES = count()


@cache
def _pool():
    return ThreadPoolExecutor(CORES)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


def share(work, pieces):
    """Call ``work(piece)`` for every piece, several at a time."""
    if min(CORES, len(pieces)) == 1:
        for piece in pieces:
            work(piece)
        return
    # In a copy of the context each: NumPy keeps there how it treats overflow.
    for done in [_pool().submit(copy_context().run, work, piece) for piece in pieces]:
        done.result()
