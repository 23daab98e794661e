"""What a flow or a run of training did, and what one does with it afterwards."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from .errors import InputError

FORMAT = "lcnlib flow 1"


@dataclass(frozen=True)
class FlowResult:
    """What a flow did, at the requested times.

    At every reported time the filters are scaled by the positive tuple of Proposition 2 back
    to the initial invariants, which the solver keeps up to its tolerance only; v stays the
    same.  (A filter that is exactly zero is left alone.)  Where the flow has come to rest, so
    that rounding would raise the loss, the better state is kept.

    ``flow[3]``, ``flow[10:20]``, ``flow[mask]`` are the records of some flows of a batch: any
    index of an array whose shape is that of the batch.

    Book: prop-03-fibre.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Times.
    filters : list of H ndarrays, shapes (T, *batch, *k_i)
    end_to_end : ndarray, shape (T, *batch, *k)
    loss : ndarray, shape (T, *batch)
        Never increases along the first axis.
    invariants : ndarray, shape (T, *batch, H-1)
    n_evaluations : int
        Evaluations of the velocity, for the whole batch.
    success : bool
        True; a flow that cannot be continued raises `FlowError` instead.
    message : str
        What the solver said.
    stopped : ndarray, shape (*batch,), or None
        When `stop` ended each flow, nan where it did not; None without `stop`.

    Examples
    --------
    >>> net, loss = LCN((2, 2), strides=2), QuadraticLoss([1.0, 2.0, 3.0, 6.0])
    >>> flow = gradient_flow(net, loss, random_filters(net, 0, batch=(5,)), [0, 1, 2])
    >>> flow.loss.shape, flow[3].loss.shape, flow[1:3].filters[0].shape
    ((3, 5), (3,), (3, 2, 2))
    """

    t: np.ndarray
    filters: list
    end_to_end: np.ndarray
    loss: np.ndarray
    invariants: np.ndarray
    n_evaluations: int
    success: bool
    message: str
    stopped: np.ndarray | None = None

    def __getitem__(self, index):
        batch = self.loss.shape[1:]
        n = prod(batch)
        try:
            picked = np.arange(n).reshape(batch)[index]
        except IndexError:
            raise InputError(
                f"index: expected one of the batch axes {batch} of this record, got {index!r}"
                + ("" if batch else "; it holds one flow only")
            ) from None

        def part(a):
            return a.reshape(len(self.t), n, *a.shape[1 + len(batch) :])[:, picked]

        return replace(
            self, filters=[part(w) for w in self.filters], end_to_end=part(self.end_to_end),
            loss=part(self.loss), invariants=part(self.invariants),
            stopped=None if self.stopped is None else self.stopped.reshape(n)[picked])

    def __iter__(self):
        """The records along the first batch axis."""
        if self.loss.ndim == 1:
            raise InputError("index: expected a record of a batch to go through, got one flow")
        return (self[i] for i in range(self.loss.shape[1]))

    def save(self, path):
        """Write the record into one file, of NumPy's format npz.

        Parameters
        ----------
        path : path
            Taken as it is; a file that is there is replaced.
        """
        arrays = {name: a for name, a in vars(self).items() if a is not None}
        arrays |= {f"filters_{i}": w for i, w in enumerate(arrays.pop("filters"))}
        with open(path, "wb") as file:
            np.savez(file, format=FORMAT, **arrays)

    @classmethod
    def load(cls, path):
        """The record that `save` has written, bit for bit.

        Parameters
        ----------
        path : path

        Returns
        -------
        FlowResult

        Raises
        ------
        InputError
            When the file is not one of `save`, or damaged.
        """
        # A damaged file fails in many ways: in the archive, a header, a missing entry.
        with open(path, "rb") as file:
            try:
                with np.load(file, allow_pickle=False) as data:
                    if str(data["format"]) != FORMAT:
                        raise ValueError(f"a file of the format {data['format']}")
                    depth = sum(name.startswith("filters_") for name in data)
                    return cls(
                        data["t"], [data[f"filters_{i}"] for i in range(depth)],
                        data["end_to_end"], data["loss"], data["invariants"],
                        int(data["n_evaluations"]), bool(data["success"]), str(data["message"]),
                        data["stopped"] if "stopped" in data else None)
            except Exception as e:
                raise InputError("path: expected a whole file that FlowResult.save has written, "
                                 f"got {path} ({type(e).__name__}: {e}); save the record "
                                 "again") from None

    def to_xarray(self):
        """The record as an `xarray.Dataset`; xarray has to be installed.

        Returns
        -------
        xarray.Dataset
            Variables `end_to_end`, `loss`, `invariants`, `w_1` ... `w_H` and, with `stop`,
            `stopped`.  The axes are `t`, `batch_0` ..., and those of the filters: `v_0` ...
            and `w_1_0` ....

        Raises
        ------
        InputError
            When xarray is not installed.
        """
        try:
            import xarray
        except ImportError:
            raise InputError("to_xarray: expected the package xarray, got none; install it (pip "
                             "install xarray), or use the arrays of the record as they "
                             "are") from None
        batch = tuple(f"batch_{i}" for i in range(self.loss.ndim - 1))
        lead = ("t", *batch)

        def with_axes(name, a):
            return (*lead, *(f"{name}_{i}" for i in range(a.ndim - len(lead)))), a

        data = {"end_to_end": with_axes("v", self.end_to_end), "loss": (lead, self.loss),
                "invariants": ((*lead, "delta"), self.invariants)}
        data |= {f"w_{i}": with_axes(f"w_{i}", w) for i, w in enumerate(self.filters, start=1)}
        if self.stopped is not None:
            data["stopped"] = batch, self.stopped
        return xarray.Dataset(data, {"t": self.t}, {
            "n_evaluations": self.n_evaluations, "success": int(self.success),
            "message": self.message})
