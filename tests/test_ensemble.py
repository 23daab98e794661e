"""Many starts: the same numbers by every executor, interruption, damage, lost workers."""

import os
import re
import signal
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from functools import partial
from io import StringIO

import numpy as np
import pytest

import lcnlib as lcn


def cheap(seed):
    """The conserved quantity of random filters."""
    net = lcn.LCN((3, 2), 2)
    return lcn.invariants(net, lcn.random_filters(net, np.random.default_rng(seed)))[0]


def ends(starts):
    """Final losses of a batch of flows."""
    net, loss = lcn.LCN((2, 2), 2), lcn.QuadraticLoss([1.0, 2, 3, 5])
    w = [lcn.random_filters(net, np.random.default_rng(s)) for s in starts]
    w = [np.stack(x) for x in zip(*w)]
    return lcn.gradient_flow(net, loss, w, [0, 3.0]).loss[-1]


def fussy(x, log=None):
    if log is not None:
        with open(log, "a") as f:
            f.write(f"{x}\n")
    if x % 7 == 3:
        raise ValueError(f"no {x}")
    return 2.0 * x


def slow(x, log):
    time.sleep(0.05)
    with open(log, "a") as f:
        f.write(f"{x} {os.getpid()}\n")
    return x * x


def test_ten_thousand_starts_by_processes_bit_for_bit():
    seeds = lcn.Seeds(5, 10_000)
    alone = lcn.ensemble(cheap, seeds).stack()
    with ProcessPoolExecutor(2) as pool:
        together = lcn.ensemble(cheap, seeds, executor=pool).stack()
    assert alone.shape == (10_000,) and alone.tobytes() == together.tobytes()


def test_batches_by_processes_and_threads():
    seeds = lcn.Seeds(1, 70)
    want = lcn.ensemble(ends, seeds, batch=16).stack()
    for Pool in (ProcessPoolExecutor, ThreadPoolExecutor):
        for workers in (1, 2):
            with Pool(workers) as pool:
                got = lcn.ensemble(ends, seeds, batch=16, executor=pool).stack()
            assert got.tobytes() == want.tobytes()
    np.testing.assert_allclose(want, lcn.ensemble(ends, seeds, batch=1).stack(), rtol=1e-6)


def test_errors_are_recorded_and_the_rest_goes_on():
    result = lcn.ensemble(fussy, range(30))
    assert [f.index for f in result.failures] == [3, 10, 17, 24]
    assert result.failures[1].start == 10 and result.failures[1].error == "ValueError: no 10"
    assert "in fussy" in result.failures[1].trace
    assert result.results[3] is None and result.results[4] == 8.0
    assert result.ok.sum() == len(result.stack()) == 26
    spoilt = lcn.ensemble(lambda part: [fussy(x) for x in part], range(30), batch=8)
    assert spoilt.results == result.results and len(spoilt.failures) == 4
    short = lcn.ensemble(lambda part: part[:-1], [1, 2, 3], batch=3)
    assert not short.ok.any() and "expected 1 results" in short.failures[0].error
    assert result.ok.dtype == bool
    for record in (result, result.failures[0]):
        with pytest.raises(FrozenInstanceError):
            record.start = record.results = None
    assert (result.n_computed, result.n_stored, result.n_damaged) == (30, 0, 0)


@pytest.mark.parametrize("batch", [None, 1, 2, 3, 7])
def test_failures_have_the_numbers_of_their_starts(batch):
    """Where a job is one batch, and where it is several."""
    starts = [5 * x for x in range(2000)]
    task = fussy if batch is None else lambda part: [fussy(x) for x in part]
    result = lcn.ensemble(task, starts, batch=batch)
    bad = [i for i, x in enumerate(starts) if x % 7 == 3]
    assert [f.index for f in result.failures] == bad == np.flatnonzero(~result.ok).tolist()
    assert [f.start for f in result.failures] == [starts[i] for i in bad]
    assert result.results == [None if x % 7 == 3 else 2.0 * x for x in starts]


class Waiting(Executor):
    """Keeps its jobs until they are let go."""

    def __init__(self, let_go):
        self.jobs, self.let_go = [], let_go

    def submit(self, task, /, *arguments):
        self.jobs.append((Future(), partial(task, *arguments)))
        for n in self.let_go.get(len(self.jobs), ()):
            future, job = self.jobs[n]
            future.set_result(job())
        return self.jobs[-1][0]


def test_failures_are_in_order_when_jobs_are_not():
    def task(x):
        raise ValueError(x)

    result = lcn.ensemble(task, [0, 1], executor=Waiting({2: (1, 0)}))
    assert [f.error for f in result.failures] == ["ValueError: 0", "ValueError: 1"]


def test_nothing_goes_on_after_an_error():
    def stop(fraction):
        raise KeyboardInterrupt

    pool = Waiting({2: (0,)})
    with pytest.raises(KeyboardInterrupt):
        lcn.ensemble(lambda x: x, range(200), executor=pool, progress=stop)
    assert len(pool.jobs) > 1
    assert [future.cancelled() for future, _ in pool.jobs] == [False] + [True] * (
        len(pool.jobs) - 1)


@pytest.mark.parametrize(("n", "batch", "files"), [
    (0, None, 0), (1, None, 1), (20, None, 20), (300, None, 300), (2560, None, 256),
    (20, 8, 3), (2560, 4, 214), (2560, 100, 26)])
def test_the_number_of_jobs(tmp_path, n, batch, files):
    """About 256, and no more than there are starts, or batches, which stay whole."""
    parts = []
    lcn.ensemble(parts.append if batch is None else lambda part: parts.append(len(part)) or part,
                 range(n), batch=batch, store=tmp_path)
    assert len(list(tmp_path.iterdir())) == files
    assert batch is None or sorted(parts)[1:] == [batch] * (len(parts) - 1)


def test_seeds():
    """Each is independent of the others, of their number, and of how it is picked out."""
    def draw(s):
        return np.random.default_rng(s).integers(10**9)

    seeds = lcn.Seeds(3, 20)
    numbers = [draw(s) for s in seeds]
    assert len(set(numbers)) == 20 == len(seeds)
    assert draw(seeds[-1]) == numbers[-1] and draw(lcn.Seeds(4, 20)[0]) != numbers[0]
    for index in (slice(3, 9), slice(None, None, 4), slice(None, 5), slice(12, 2, -3)):
        part = seeds[index]
        assert [draw(s) for s in part] == numbers[index] and len(part) == len(numbers[index])
        assert [draw(s) for s in part[1:]] == numbers[index][1:]
    with pytest.raises(IndexError):
        seeds[20]


def test_interruption_and_resumption(tmp_path):
    log, store = tmp_path / "log", tmp_path / "a new folder" / "store"
    task = partial(fussy, log=str(log))

    def stop(fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    starts = list(range(600))
    with pytest.raises(KeyboardInterrupt):
        lcn.ensemble(task, starts, store=store, progress=stop)
    before = len(log.read_text().split())
    assert 300 < before < 600
    result = lcn.ensemble(task, starts, store=store)
    assert result.n_stored == before and result.n_computed == 600 - before
    assert sorted(map(int, log.read_text().split())) == starts  # nothing lost, nothing twice
    assert result.results == lcn.ensemble(fussy, starts).results
    assert len(result.failures) == sum(x % 7 == 3 for x in starts)
    again = lcn.ensemble(task, starts, store=store)
    assert again.n_computed == 0 and again.results == result.results


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "of another format"])
def test_a_damaged_file_is_noticed_and_computed_again(tmp_path, damage):
    want = lcn.ensemble(fussy, list(range(600)), store=tmp_path).results
    file = sorted(tmp_path.iterdir())[5]
    data = bytearray(file.read_bytes())
    if damage in ("flipped", "of another format"):
        data[-3 if damage == "flipped" else 3] ^= 1
    file.write_bytes({"truncated": data[:-7], "empty": b""}.get(damage, data))
    result = lcn.ensemble(fussy, list(range(600)), store=tmp_path)
    assert result.n_damaged == 1 and 0 < result.n_computed < 5 and result.results == want
    assert lcn.ensemble(fussy, list(range(600)), store=tmp_path).n_damaged == 0


class Times:
    """A task that is an object."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x


class Unsent(Times):
    """One that cannot be pickled is told by its name alone."""

    def __init__(self, factor):
        super().__init__(factor)
        self.lock = threading.Lock()


def sine(x):
    return np.sin(x)


def cosine(x):
    return np.cos(x)


@pytest.mark.parametrize(("task", "others", "batch"), [
    (fussy, [cheap, partial(fussy, log=None)], None),
    (partial(fussy, log=None), [fussy, partial(fussy), partial(fussy, log="log")], None),
    (Times(2), [Times(3), fussy, Unsent(2)], None),
    (Unsent(2), [Times(2)], None),
    (sine, [cosine, lambda x: np.sin(x)], None),
    (lambda x: x, [lambda x: x + 1], None),
    (str, [str, repr], 1),
], ids=["function", "partial", "object", "unsent", "name", "code", "batch"])
def test_a_store_of_another_sweep_is_refused(tmp_path, task, others, batch):
    starts = [1, 2, 4]
    want = lcn.ensemble(task, starts, store=tmp_path).results
    for other in others:
        with pytest.raises(lcn.InputError, match="store: expected"):
            lcn.ensemble(other, starts, store=tmp_path, batch=batch)
    with pytest.raises(lcn.InputError, match="store: expected"):
        lcn.ensemble(task, [1, 2, 5], store=tmp_path)
    again = lcn.ensemble(task, starts, store=tmp_path)
    assert again.results == want and (again.n_computed, again.n_stored) == (0, 3)


def test_a_store_of_other_seeds_is_refused(tmp_path):
    for seeds in (lcn.Seeds(1, 20)[2:12], lcn.Seeds(1, 20)[3:13], lcn.Seeds(1, 20)[2:12:2],
                  lcn.Seeds(2, 20)[2:12], np.arange(10), list(range(10))):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        lcn.ensemble(str, seeds, store=folder)
        assert lcn.ensemble(str, seeds, store=folder).n_computed == 0
        with pytest.raises(lcn.InputError, match="store: expected"):
            lcn.ensemble(str, lcn.Seeds(1, 10), store=folder)


@pytest.mark.parametrize("bar", [True, False])
def test_progress(capsys, monkeypatch, bar):
    """By tqdm, or without it by a line; or told to a function."""
    if bar:
        pytest.importorskip("tqdm", reason="tqdm is optional")
    else:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    seen = []
    lcn.ensemble(fussy, range(50), progress=seen.append)
    assert seen == [n / 50 for n in range(1, 51)]
    lcn.ensemble(fussy, range(50), progress=True)
    out, err = capsys.readouterr()
    told = re.findall(r"(\d+)/50" if bar else r"(\d+) of 50 starts", err)
    assert told[-1] == "50" and err.endswith("\n") and out == ""
    assert "start" in err and (bar or told == [str(n) for n in range(1, 51)])
    lcn.ensemble(fussy, range(50))
    assert capsys.readouterr() == ("", "")


def test_a_line_of_progress_is_seen_at_once(monkeypatch):
    class Screen(StringIO):
        def flush(self):
            shown.append(self.getvalue())

    shown = []
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr("sys.stderr", Screen())
    lcn.ensemble(fussy, range(3), progress=True)
    assert len(shown) == 4


def test_bad_input():
    for arguments, word in (((3, [1]), "task"), ((fussy, 10), "starts")):
        with pytest.raises(lcn.InputError, match=f"{word}: expected"):
            lcn.ensemble(*arguments)
    for batch in (0, -1, 2.5, "2"):
        with pytest.raises(lcn.InputError, match="batch: expected"):
            lcn.ensemble(fussy, [1], batch=batch)
    with pytest.raises(lcn.InputError, match="executor: expected"):
        lcn.ensemble(fussy, [1], executor=4)
    with ProcessPoolExecutor(1) as pool:
        with pytest.raises(lcn.InputError, match=r"task: expected .* sent"):
            lcn.ensemble(lambda x: x, [1, 2], executor=pool)
    assert lcn.ensemble(fussy, []).results == []
    assert lcn.ensemble(fussy, (x for x in (1, 2))).results == [2.0, 4.0]
    assert sorted(lcn.ensemble(fussy, {1, 2}).results) == [2.0, 4.0]


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker(tmp_path):
    """Dask's LocalCluster, two workers, one killed in the middle."""
    distributed = pytest.importorskip(
        "distributed", reason="the extra `ensemble` (dask, distributed) is not installed")
    import dask

    log = tmp_path / "log"
    log.touch()
    with dask.config.set({"distributed.admin.log-length": 0}):
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        killed = []

        def kill(fraction):
            if fraction > 0.3 and not killed:
                killed.append(int(log.read_text().split("\n")[-2].split()[1]))
                os.kill(killed[0], signal.SIGKILL)

        result = lcn.ensemble(partial(slow, log=str(log)), list(range(120)),
                              executor=client.get_executor(), progress=kill)
    assert killed and result.results == [x * x for x in range(120)]
    assert result.n_computed == 120 and not result.failures
    pids = [line.split()[1] for line in log.read_text().splitlines()]
    assert len(set(pids)) >= 2
