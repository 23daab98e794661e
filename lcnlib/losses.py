"""Quadratic losses on end-to-end filters, given directly or by data."""

from math import prod

import numpy as np

from ._core.checks import as_net, as_real, as_shaped
from .errors import InputError

# Windows of the data are laid out this many numbers at a time.
CHUNK = 1 << 22


class Loss:
    """A loss on end-to-end filters from two functions.

    Parameters
    ----------
    value, gradient : callables
        For v of shape (*batch, *k) they return arrays of shapes (*batch,) and (*batch, *k).

    Raises
    ------
    InputError
        When one of them cannot be called.

    Examples
    --------
    >>> loss = Loss(lambda v: (v**4).sum(axis=-1) / 4, lambda v: v**3)
    >>> net = LCN((2, 1))
    >>> flow = gradient_flow(net, loss, [[1.0, 0.5], [1.0]], [0.0, 1.0])
    >>> bool(flow.loss[1] < flow.loss[0])
    True
    """

    def __init__(self, value, gradient):
        for name, f in (("value", value), ("gradient", gradient)):
            if not callable(f):
                raise InputError(f"{name}: expected a function of v, got {type(f).__name__}; for a "
                                 "quadratic loss use QuadraticLoss")
        self.value, self.gradient = value, gradient


class QuadraticLoss:
    """The loss 1/2 (v - v*)^T A (v - v*) on end-to-end filters v.

    Any object with `value` and `gradient` is a loss;
    this is the one that training on data with a squared error gives.

    Book: prop-03-quadratic.

    Parameters
    ----------
    target : ndarray, shape k
        v*; its number of axes is the dimension D.
    weight : ndarray, shape (|k|, |k|), optional
        A, symmetric positive semidefinite; the identity by default.

    Attributes
    ----------
    target : ndarray, shape k
    weight : ndarray, shape (|k|, |k|), or None for the identity
    constant : float
        What `value` leaves out of the squared error on data; 0 without data.

    Raises
    ------
    InputError
        When `target` is not finite, or `weight` is not symmetric positive semidefinite.

    Examples
    --------
    >>> loss = QuadraticLoss([1.0, 2.0], weight=[[2.0, 0.0], [0.0, 1.0]])
    >>> loss.value([0.0, 0.0]).tolist(), loss.gradient([0.0, 0.0]).tolist()
    (3.0, [-2.0, -2.0])
    """

    def __init__(self, target, weight=None):
        self.target = as_real(target, "target")
        if self.target.size == 0 or self.target.ndim == 0:
            raise InputError("target: expected an array of shape k, one number for each entry of "
                             f"the end-to-end filter, got shape {self.target.shape}")
        self.weight, self.constant = None, 0.0
        if weight is not None:
            a = as_real(weight, "weight")
            n = self.target.size
            if a.shape != (n, n):
                raise InputError(f"weight: expected shape ({n}, {n}), the target having {n} "
                                 f"entries, got {a.shape}")
            scale = np.abs(a).max(initial=0.0)
            if np.abs(a - a.T).max(initial=0.0) > 1e-12 * scale:
                raise InputError("weight: expected a symmetric matrix; use (weight + weight.T) / 2")
            a = (a + a.T) / 2
            low = np.linalg.eigvalsh(a)[0]
            if low < -1e-12 * n * scale:
                raise InputError("weight: expected a positive semidefinite matrix, got the "
                                 f"eigenvalue {low:.3g}")
            self.weight = a

    @classmethod
    def from_data(cls, net, x, y):
        """The loss of a network on samples: 1/2 sum over n of |alpha_v x^(n) - y^(n)|^2.

        A is the second-moment matrix of the windows of x that meet an output, v* the
        least-squares filter (of least norm when A is singular).  The squared error
        is ``value(v) + constant``.

        Parameters
        ----------
        net : LCN
        x : ndarray, shape (*lead, *d_0)
            Signals.
        y : ndarray, shape (*lead, *d_H)
            Targets, of the shape that `apply` returns.

        Returns
        -------
        QuadraticLoss

        Examples
        --------
        >>> loss = QuadraticLoss.from_data(LCN((2, 1)), [1.0, 2.0, 5.0], [3.0, 7.0])
        >>> loss.target.round(10).tolist(), round(abs(loss.constant), 10)
        ([1.0, 1.0], 0.0)
        """
        as_net(net)
        x, y = as_real(x, "x"), as_real(y, "y")
        d, k, s = net.ndim, net.end_to_end_shape, net.end_to_end_stride
        if x.ndim < d or any(m < n for m, n in zip(x.shape[-d:], k)):
            raise InputError(f"x: expected {d} trailing axes of at least the end-to-end shape {k}, "
                             f"got shape {x.shape}")
        if x.size == 0:
            raise InputError(f"x: expected at least one signal, got shape {x.shape}")
        out = tuple((m - n) // step + 1 for m, n, step in zip(x.shape[-d:], k, s))
        want = x.shape[:-d] + out
        if y.shape != want:
            raise InputError(f"y: expected shape {want}, that of the network's output, got "
                             f"{y.shape}")
        signals, goals = x.reshape(-1, *x.shape[-d:]), y.reshape(-1, *out)
        step = (slice(None), *(slice(None, None, n) for n in s))
        windows = np.lib.stride_tricks.sliding_window_view(signals, k, tuple(range(1, d + 1)))
        windows = windows[step]  # a view, shape (samples, *out, *k); copied in chunks below
        size = prod(k)
        a, b = np.zeros((size, size)), np.zeros(size)
        rows = np.indices(windows.shape[:2]).reshape(2, -1)
        for i, j in np.array_split(rows, 1 + windows.size // CHUNK, axis=1):
            w = windows[i, j].reshape(-1, size)
            a += w.T @ w
            b += w.T @ goals[i, j].reshape(-1)
        target = np.linalg.lstsq(a, b, rcond=size * np.finfo(float).eps)[0]
        loss = cls(target.reshape(k), (a + a.T) / 2)
        loss.constant = float(0.5 * ((y * y).sum() - target @ b))
        return loss

    def _checked(self, v):
        return as_shaped(v, self.target.shape, "v", "that of the loss's target")

    def _slope(self, v):
        g = v - self.target
        if self.weight is None:
            return g
        lead = v.shape[: v.ndim - self.target.ndim]
        return (g.reshape(*lead, self.target.size) @ self.weight).reshape(v.shape)

    def value(self, v):
        """The loss, shape (*batch,), at `v` of shape (*batch, *k)."""
        v = self._checked(v)
        axes = tuple(range(-self.target.ndim, 0))
        return 0.5 * ((v - self.target) * self._slope(v)).sum(axis=axes)

    def gradient(self, v):
        """The gradient A (v - v*), shape (*batch, *k), at `v` of the same shape."""
        return self._slope(self._checked(v))

    # What a flow calls at each of its slopes; a class with another gradient does not inherit it.
    gradient.unchecked = _slope
