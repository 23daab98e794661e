"""Many starts: the same numbers by every executor, interruption, damage, lost workers."""

import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

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


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped"])
def test_a_damaged_file_is_noticed_and_computed_again(tmp_path, damage):
    want = lcn.ensemble(fussy, list(range(600)), store=tmp_path).results
    file = sorted(tmp_path.iterdir())[5]
    data = bytearray(file.read_bytes())
    if damage == "flipped":
        data[-3] ^= 1
    file.write_bytes({"truncated": data[:-7], "empty": b"", "flipped": data}[damage])
    result = lcn.ensemble(fussy, list(range(600)), store=tmp_path)
    assert result.n_damaged == 1 and 0 < result.n_computed < 5 and result.results == want
    assert lcn.ensemble(fussy, list(range(600)), store=tmp_path).n_damaged == 0


def test_a_store_of_another_sweep_is_refused(tmp_path):
    lcn.ensemble(fussy, [1, 2], store=tmp_path)
    for task, starts in ((fussy, [1, 5]), (cheap, [1, 2]), (partial(fussy, log=None), [1, 2])):
        with pytest.raises(lcn.InputError, match="store: expected"):
            lcn.ensemble(task, starts, store=tmp_path)


def test_progress(capsys):
    seen = []
    lcn.ensemble(fussy, range(50), progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0
    lcn.ensemble(fussy, range(50), progress=True)
    assert "50" in capsys.readouterr().err


def test_bad_input():
    for arguments, word in (((3, [1]), "task"), ((fussy, 10), "starts")):
        with pytest.raises(lcn.InputError, match=f"{word}: expected"):
            lcn.ensemble(*arguments)
    with pytest.raises(lcn.InputError, match="batch: expected"):
        lcn.ensemble(fussy, [1], batch=0)
    with pytest.raises(lcn.InputError, match="executor: expected"):
        lcn.ensemble(fussy, [1], executor=4)
    with ProcessPoolExecutor(1) as pool:
        with pytest.raises(lcn.InputError, match=r"task: expected .* sent"):
            lcn.ensemble(lambda x: x, [1, 2], executor=pool)
    assert lcn.ensemble(fussy, []).results == []
    assert lcn.ensemble(fussy, (x for x in (1, 2))).results == [2.0, 4.0]


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
