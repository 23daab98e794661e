"""Flows of a list of arrays by a method of SciPy: those of the networks for contrast."""

import numpy as np

from .solver import LEAST_RATIO, LEAST_SIZE, integrate


def solve(velocity, start, t, *, rtol, atol, method, **options):
    """The arrays at the times t, shapes (T, *shape), and the number of evaluations.

    Parameters
    ----------
    velocity : function (time, arrays) -> arrays
    start : list of ndarrays
        At the time t[0].
    atol : float or None
        By default 1e-3 rtol times the largest entry of each array.
    """
    ends = np.cumsum([x.size for x in start]).tolist()
    parts = [(slice(end - x.size, end), x.shape) for end, x in zip(ends, start)]

    def pack(arrays):
        return np.concatenate([x.reshape(-1) for x in arrays])[None]

    def unpack(y):
        return [y[..., part].reshape(*y.shape[:-1], *shape) for part, shape in parts]

    def sizes(y):
        least = max(LEAST_RATIO * np.abs(y).max(), LEAST_SIZE)
        return np.concatenate([np.full_like(y[:, q], max(np.abs(y[:, q]).max(), least))
                               for q, _ in parts], axis=1)

    # The tolerances are the solver's own; `integrate` takes a tenth of what it is given.
    y, n_evaluations, _ = integrate(
        lambda time, y: pack(velocity(time, unpack(y[0]))), pack(start), t, sizes=sizes,
        method=method, rtol=10 * rtol, atol=None if atol is None else 10 * atol, **options)
    return unpack(y[:, 0]), n_evaluations
