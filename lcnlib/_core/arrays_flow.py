"""Flows of a list of arrays by a method of SciPy: those of the networks for contrast."""

import numpy as np

from ..errors import FlowError


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
    from scipy.integrate import solve_ivp  # takes longer than all of lcnlib to import

    ends = np.cumsum([x.size for x in start]).tolist()
    parts = [(slice(end - x.size, end), x.shape) for end, x in zip(ends, start)]

    def pack(arrays):
        return np.concatenate([x.reshape(-1) for x in arrays])

    def unpack(y):
        return [y[..., part].reshape(*y.shape[:-1], *shape) for part, shape in parts]

    if len(t) == 1:
        return unpack(pack(start)[None]), 0
    if atol is None:
        atol = pack([np.full(x.size, 1e-3 * rtol * (np.abs(x).max() or 1)) for x in start])
    done = solve_ivp(lambda time, y: pack(velocity(time, unpack(y))), (t[0], t[-1]), pack(start),
                     method=method, t_eval=t, rtol=rtol, atol=atol, **options)
    if done.status < 0 or not np.isfinite(done.y).all():
        last = done.t[-1] if len(done.t) else t[0]
        raise FlowError(f"the flow could not be continued after t = {last:g}: {done.message}; "
                        "try a shorter time", last)
    done.y[:, 0] = pack(start)  # interpolated, it may be off by rounding
    return unpack(done.y.T), done.nfev
