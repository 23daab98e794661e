"""Work in pieces on several cores gives the same numbers, errors and silence as on one."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lcnlib import LCN, InputError, ntk_apply, random_filters, vjp
from lcnlib._core import cores as _cores
from lcnlib._core import nested as _nested


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr(_cores, "CORES", 2)
    monkeypatch.setattr(_nested, "BLOCK", 1 << 9)  # many pieces
    _cores._pool.cache_clear()
    yield
    _cores._pool.cache_clear()


@pytest.mark.parametrize("net", [LCN((4097,) * 3, 2), LCN([(65, 40)] * 3, [(2, 3)] * 3)])
def test_same_numbers(net, two, monkeypatch):
    w = random_filters(net, 3)
    g = np.random.default_rng(4).standard_normal(net.end_to_end_shape)
    several = ntk_apply(net, w, g), *vjp(net, w, g)
    again = ntk_apply(net, w, g), *vjp(net, w, g)  # in memory that was used before
    monkeypatch.setattr(_cores, "CORES", 1)
    alone = ntk_apply(net, w, g), *vjp(net, w, g)
    for a, b, c in zip(several, again, alone):
        assert np.array_equal(a, c) and np.array_equal(b, c)


def test_a_fault_in_a_piece_is_raised(two):
    def work(piece):
        if piece == 3:
            raise ValueError("piece 3")

    with pytest.raises(ValueError, match="piece 3"):
        _cores.share(work, range(5))


@pytest.mark.filterwarnings("error")
def test_overflow_stays_silent_until_it_is_reported(two):
    net = LCN((4097,) * 3, 2)
    w = [1e150 * x for x in random_filters(net, 3)]
    with pytest.raises(InputError, match="overflow"):
        ntk_apply(net, w, np.ones(net.end_to_end_shape))


@pytest.mark.parametrize("said, cores", [("3", 3), ("2,4", 2)])
def test_the_variable_that_blas_reads_decides(monkeypatch, said, cores):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert _cores.count() == cores


@pytest.mark.parametrize("said", ["", "0", "many"])
def test_else_all_cores_of_the_process(monkeypatch, said):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert 1 <= _cores.count() <= os.cpu_count()


def test_one_core_in_the_browser(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert _cores.count() == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_after_a_fork():
    """The child has none of the parent's threads, and must not wait for them."""
    code = """
import os
from lcnlib._core import cores as _cores
_cores.CORES = 2
_cores.share(print, range(2))
child = os.fork()
_cores.share(print, range(2))
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
