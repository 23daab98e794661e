"""The store of an ensemble: a folder with one file for each finished job."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np

from ..errors import InputError

MAGIC = b"lcnlib ensemble 1\n"


class Store:
    """One file for each job: a checksum, what sweep it belongs to, the outcome."""

    def __init__(self, folder, task, batch):
        self.folder, self.damaged = Path(folder), 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self.task = f"{_name(task)} batch {batch}".encode()

    def _path(self, job):
        return self.folder / f"starts-{job.start:09d}-{job.stop:09d}.pickle"

    def _key(self, part):
        places = getattr(part, "indices", None)
        if isinstance(places, range):  # of `Seeds`
            items = part.seed, places.start, places.step, len(places)
        else:
            items = part if isinstance(part, np.ndarray) else list(part)
        return hashlib.sha256(self.task + pickle.dumps(items, protocol=4)).digest()

    def read(self, job, part):
        """The stored outcome of a job; None when there is none, or only a damaged one."""
        try:
            data = self._path(job).read_bytes()
        except FileNotFoundError:  # not computed yet
            return None
        n = len(MAGIC)
        check, body = data[n : n + 32], data[n + 32 :]
        if data[:n] != MAGIC or hashlib.sha256(body).digest() != check:
            self.damaged += 1
            return None
        if body[:32] != self._key(part):
            raise InputError("store: expected a new folder, or one with results of this task and "
                             f"these starts, got {self.folder}, which belongs to another sweep; "
                             "choose another folder")
        return pickle.loads(body[32:])

    def write(self, job, part, outcome):
        body = self._key(part) + pickle.dumps(outcome, protocol=4)
        temporary = self._path(job).with_suffix(f".{os.getpid()}.part")
        temporary.write_bytes(MAGIC + hashlib.sha256(body).digest() + body)
        temporary.replace(self._path(job))  # whole or not at all


def _name(task):
    """What tells one task from another in every process: its name, code and arguments."""
    inner, rest = task, ""
    while hasattr(inner, "func"):  # functools.partial
        rest += repr(hashlib.sha256(pickle.dumps((inner.args, inner.keywords), 4)).hexdigest())
        inner = inner.func
    code = getattr(inner, "__code__", None)
    kind = type(inner) if code is None else inner
    name = f"{kind.__module__}.{kind.__qualname__}"
    if code is None:
        try:
            rest += hashlib.sha256(pickle.dumps(inner, 4)).hexdigest()
        except (pickle.PicklingError, AttributeError, TypeError):  # told by its name alone
            rest += "?"
    else:
        rest += hashlib.sha256(code.co_code).hexdigest()
    return name + rest
