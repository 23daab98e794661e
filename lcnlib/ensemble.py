"""Many starts, on one machine or on many."""

import pickle
import queue
import sys
import traceback
from dataclasses import dataclass

import numpy as np

from ._core.store import Store
from .errors import InputError

JOBS = 256  # a sweep is cut into about so many jobs: enough for any pool to balance
IN_FLIGHT = 512  # jobs handed out at a time, so that a million starts need little memory


class Seeds:
    """A sequence of `count` independent random seeds, the i-th depending on (seed, i) alone.

    Parameters
    ----------
    seed : int
    count : int

    Examples
    --------
    >>> import numpy as np
    >>> seeds = Seeds(0, 1000)
    >>> a, b = (np.random.default_rng(s[7]).normal() for s in (seeds, Seeds(0, 10)))
    >>> len(seeds), bool(a == b)
    (1000, True)
    """

    def __init__(self, seed, count):
        self.seed, self.indices = seed, range(count)

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, i):
        if isinstance(i, slice):
            part = Seeds(self.seed, 0)
            part.indices = self.indices[i]
            return part
        return np.random.SeedSequence(self.seed, spawn_key=(self.indices[i],))


@dataclass(frozen=True)
class Failure:
    """What went wrong with one start.

    Attributes
    ----------
    index : int
    start : object
        As the task got it.
    error : str
        Type and message of the exception.
    trace : str
        Its traceback.
    """

    index: int
    start: object
    error: str
    trace: str


@dataclass(frozen=True)
class EnsembleResult:
    """What an ensemble gave, in the order of its starts.

    Attributes
    ----------
    results : list
        What the task returned for each start; None where it failed.
    failures : list of Failure
    n_computed : int
        How many starts were computed now.
    n_stored : int
        How many were in the store.
    n_damaged : int
        How many damaged files of the store were computed again.
    """

    results: list
    failures: list
    n_computed: int
    n_stored: int
    n_damaged: int

    @property
    def ok(self):
        """ndarray of bool, shape (n,): which starts gave a result."""
        good = np.ones(len(self.results), dtype=bool)
        good[[f.index for f in self.failures]] = False
        return good

    def stack(self):
        """The results of all starts that gave one, as one array with the starts in front."""
        return np.array([r for r, good in zip(self.results, self.ok) if good])


def ensemble(task, starts, *, executor=None, batch=None, store=None, progress=False):
    """Any computation over many starts, on any `concurrent.futures.Executor`.

    The result depends on `task`, `starts` and `batch`, not on the executor, the number of its
    workers or the order in which they finish: the starts are cut into jobs by their number
    only.  (Workers need the same versions and the same machine arithmetic.)

    Parameters
    ----------
    task : callable
        ``task(start)`` returns the result of one start; with `batch`, ``task(part)`` gets up
        to that many starts as one sequence and returns as many results.  For other processes
        it has to be picklable: a function of a module, or a `functools.partial` of one.
    starts : sequence
        What the task gets: arrays, a list, or `Seeds`, which weigh nothing.
    executor : concurrent.futures.Executor, optional
        None computes in this process.  Processes, threads, and ``Client(...).get_executor()``
        of Dask distributed, where the workers may be hundreds of machines.
    batch : int, optional
        Starts for one call of the task.
    store : path, optional
        A folder, made when missing, with one file for each finished job.  A sweep that was
        interrupted goes on where it stopped; a damaged file is computed again.  Take
        another folder when the code of the task has changed.
    progress : bool or callable, optional
        True shows a bar where tqdm is installed, else a line; a callable receives the
        fraction done, between 0 and 1.

    Returns
    -------
    EnsembleResult
        A start whose task raises is recorded with its error, and the rest goes on.  When it
        spoils a batch, every start of that batch is computed alone.

    Raises
    ------
    InputError
        When an argument does not fit, the task or a result cannot be sent, or the store holds
        results of another sweep.
    concurrent.futures.BrokenExecutor
        When the executor has lost its workers; what was finished is in the store.

    Notes
    -----
    However many starts there are, they are about 256 jobs: so many files, and so many messages to
    a scheduler.  Measured (`benchmarks/research.py`): 100,000 flows of k = (3, 2) in batches
    of 500 by two processes took 0.9 ms of a processor each, and of this process 0.6 s in all,
    with 8 MB more memory; the store was 200 files of 10 kB, read again in half a second.  An
    empty task costs 15 microseconds a start: where a task takes less than a millisecond,
    batches pay.

    Examples
    --------
    >>> import numpy as np
    >>> def end(seed):
    ...     net, loss = LCN((1, 1)), QuadraticLoss([1.0])
    ...     start = random_filters(net, np.random.default_rng(seed))
    ...     return gradient_flow(net, loss, start, [0, 50.0]).end_to_end[-1, 0]
    >>> result = ensemble(end, Seeds(0, 5))
    >>> result.stack().round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if not callable(task):
        raise InputError(f"task: expected a function of one start, got {type(task).__name__}")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise InputError("executor: expected a concurrent.futures.Executor, got "
                         f"{type(executor).__name__}; of a Dask client use client.get_executor()")
    if batch is not None and (not isinstance(batch, int) or batch < 1):
        raise InputError(f"batch: expected a positive integer or None, got {batch!r}")
    if not hasattr(starts, "__getitem__") or not hasattr(starts, "__len__"):
        try:
            starts = list(starts)
        except TypeError:
            raise InputError(f"starts: expected a sequence, got {starts!r}; for n random ones use "
                             "Seeds(0, n)") from None
    size = max(1, len(starts) // JOBS)
    if batch is not None:
        size = batch * -(-size // batch)  # whole batches
    jobs = [slice(i, min(i + size, len(starts))) for i in range(0, len(starts), size)]
    folder = None if store is None else Store(store, task, batch)
    return _run(task, starts, jobs, executor, batch, folder, _bar(progress, len(starts)))


def _run(task, starts, jobs, executor, batch, folder, show):
    results, failures, counts = [None] * len(starts), [], {"now": 0, "stored": 0}

    def keep(job, outcome, how):
        counts[how] += job.stop - job.start
        results[job], bad = outcome
        failures.extend(Failure(i, starts[i], *why) for i, why in bad)
        show(sum(counts.values()))

    def waiting():
        for job in jobs:
            found = None if folder is None else folder.read(job, starts[job])
            if found is None:
                yield job
            else:
                keep(job, found, "stored")

    def finished(job, outcome):
        if folder is not None:
            folder.write(job, starts[job], outcome)
        keep(job, outcome, "now")

    if executor is None:
        for job in waiting():
            finished(job, _job(task, starts[job], job.start, batch))
    else:
        _hand_out(task, starts, waiting(), executor, batch, finished)
    show(None)
    failures.sort(key=lambda f: f.index)
    damaged = 0 if folder is None else folder.damaged
    return EnsembleResult(results, failures, counts["now"], counts["stored"], damaged)


def _hand_out(task, starts, waiting, executor, batch, finished):
    """Keep the executor busy; every job is recorded once, by this process."""
    ready, flying = queue.SimpleQueue(), {}
    more = True
    try:
        while more or flying:
            while more and len(flying) < IN_FLIGHT:
                job = next(waiting, None)
                if job is None:
                    more = False
                    break
                future = executor.submit(_job, task, starts[job], job.start, batch)
                flying[future] = job
                future.add_done_callback(ready.put)
            if flying:
                future = ready.get()
                job = flying.pop(future)
                try:
                    outcome = future.result()
                except (pickle.PicklingError, AttributeError, TypeError) as e:
                    raise InputError("task: expected a task and results that can be sent to "
                                     f"another process, got {type(e).__name__}: {e}; define the "
                                     "task at the top level of a module, and let it return "
                                     "arrays or plain objects") from e
                finished(job, outcome)
    finally:  # on an error or Ctrl-C nothing goes on behind the user's back
        for future in flying:
            future.cancel()


def _job(task, part, first, batch):
    """Results of the starts `part`, None where they fail, and the failures by index."""
    results, failures = [], []

    def alone(start):
        return task(start) if batch is None else _batch(task, start)[0]

    for i in range(0, len(part), batch or 1):
        some = part[i : i + (batch or 1)]
        if batch is not None:
            good, error = _attempt(_batch, task, some)
            if error is None:
                results.extend(good)
                continue
        for j in range(len(some)):  # one start, or a batch that one of its starts spoils
            value, error = _attempt(alone, some[j : j + 1] if batch else some[j])
            if error is not None:
                failures.append((first + i + j, error))
            results.append(value)
    return results, failures


def _batch(task, part):
    got = list(task(part))
    if len(got) != len(part):
        raise InputError(f"task: expected {len(part)} results for a batch of {len(part)} starts, "
                         f"got {len(got)}")
    return got


def _attempt(function, *arguments):
    """(result, None), or (None, what went wrong)."""
    try:
        return function(*arguments), None
    except Exception as e:  # whatever it is, it is recorded
        return None, (f"{type(e).__name__}: {e}", traceback.format_exc())


def _bar(progress, total):
    """A function of the number done; None closes."""
    if not progress:
        return lambda done: None
    if callable(progress):
        return lambda done: None if done is None else progress(done / total)
    try:
        from tqdm.auto import tqdm
    except ImportError:  # tqdm is optional
        return lambda done: print("\n" if done is None else f"\r{done} of {total} starts", end="",
                                  file=sys.stderr, flush=True)
    bar = tqdm(total=total, unit="start")
    return lambda done: bar.close() if done is None else bar.update(done - bar.n)
