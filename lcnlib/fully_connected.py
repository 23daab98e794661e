"""Fully connected linear networks W = W_N ... W_1, for contrast.

A network is a list of matrices ``weights``, layer 1 first; W_j has shape (*batch, n_j, n_{j-1}).
A kernel K acts on matrices Z of the shape of W; as an array it has shape (*batch, mn, mn), with Z
read in C order.
"""

import operator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np

from ._algebra.gram import kron
from ._core.arrays_flow import solve
from ._core.checks import as_weights, finite_result, quiet
from ._core.solver import as_times
from .errors import InputError
from .matrix_kernels import balanced_ntk, relaxed_ntk, siblings
from .network import standard_normal

__all__ = ["MatrixFlow", "balanced_ntk", "end_to_end", "gradient_flow", "invariants", "ntk",
           "random_weights", "relaxed_ntk", "siblings"]

def _product(ws):
    return reduce(lambda before, w: w @ before, ws)


def random_weights(sizes, seed, batch=()):
    """Matrices with independent standard normal entries.

    Parameters
    ----------
    sizes : sequence of N + 1 ints
        Inputs, hidden sizes, outputs.
    seed : int or numpy.random.Generator
    batch : tuple of ints, optional

    Returns
    -------
    list of N ndarrays, shapes (*batch, n_j, n_{j-1})

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> [w.shape for w in fc.random_weights((5, 2, 1), 0)]
    [(2, 5), (1, 2)]
    """
    try:
        sizes = [operator.index(n) for n in sizes]
    except TypeError:  # refused below, with words
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1:
        raise InputError("sizes: expected at least two ints >= 1, inputs first, such as (5, 2, 1)")
    return standard_normal(seed, batch, [(m, n) for n, m in pairwise(sizes)])


@quiet
def end_to_end(weights):
    """The matrix W = W_N ... W_1 that the network computes.

    Parameters
    ----------
    weights : sequence of N ndarrays, shapes (*batch, n_j, n_{j-1})

    Returns
    -------
    ndarray, shape (*batch, n_N, n_0)

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> fc.end_to_end([[[1, 2]], [[3], [4]]]).tolist()
    [[3.0, 6.0], [4.0, 8.0]]
    """
    ws = as_weights(weights)
    return finite_result(_product(ws), "the end-to-end matrix")


@quiet
def invariants(weights):
    """The conserved matrices Delta_j = W_{j+1}^T W_{j+1} - W_j W_j^T, j = 1 ... N-1.

    Book: prop-connected-conserved.

    Parameters
    ----------
    weights : sequence of N ndarrays, shapes (*batch, n_j, n_{j-1})

    Returns
    -------
    list of N-1 symmetric ndarrays, shapes (*batch, n_j, n_j)

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> fc.invariants([[[1, 2]], [[3], [4]]])[0].tolist()
    [[20.0]]
    """
    ws = as_weights(weights)
    return [finite_result(b.mT @ b - a @ a.mT, "an invariant") for a, b in pairwise(ws)]


@quiet
def ntk(weights):
    """The neural tangent kernel: gradient flow moves W by -K(grad l(W)).

    K(Z) = sum_j L_j L_j^T Z R_j^T R_j with L_j the layers after layer j and R_j those before.

    Parameters
    ----------
    weights : sequence of N ndarrays, shapes (*batch, n_j, n_{j-1})

    Returns
    -------
    ndarray, shape (*batch, mn, mn)
        Acts on Z of shape (m, n) in C order; symmetric and positive semidefinite.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> fc.ntk([[[1, 2]], [[3]]]).tolist()
    [[10.0, 2.0], [2.0, 13.0]]
    """
    ws = as_weights(weights)
    batch, n, m = ws[0].shape[:-2], ws[0].shape[-1], ws[-1].shape[-2]
    before, after = [np.broadcast_to(np.eye(n), (*batch, n, n))], [np.eye(m)]
    for w in ws[:-1]:
        before.append(w @ before[-1])
    for w in ws[:0:-1]:
        after.append(after[-1] @ w)
    k = sum(kron(a @ a.mT, b.mT @ b) for a, b in zip(after[::-1], before))
    return finite_result(k, "the kernel")


@dataclass(frozen=True)
class MatrixFlow:
    """What a flow of a fully connected network did.

    Attributes
    ----------
    t : ndarray, shape (T,)
    weights : list of N ndarrays, shapes (T, *batch, n_j, n_{j-1})
    end_to_end : ndarray, shape (T, *batch, n_N, n_0)
    loss : ndarray, shape (T, *batch)
    invariants : list of N-1 ndarrays, shapes (T, *batch, n_j, n_j)
    n_evaluations : int
    """

    t: np.ndarray
    weights: list
    end_to_end: np.ndarray
    loss: np.ndarray
    invariants: list
    n_evaluations: int


def gradient_flow(weights, loss, t, *, rtol=1e-9, atol=None, method="LSODA", **options):
    """Gradient flow of the loss l(W_N ... W_1) from given weights.

    Parameters
    ----------
    weights : sequence of N ndarrays, shapes (*batch, n_j, n_{j-1})
        At time t[0].
    loss : object with methods ``value(W)`` and ``gradient(W)``
        Such as ``QuadraticLoss(target)`` with a target of the shape of W.
    t : array_like, shape (T,)
        Increasing times.
    rtol, atol : floats, optional
        For the solver; by default `atol` is 1e-3 rtol times the largest entry of the layer.
    method, **options
        For `scipy.integrate.solve_ivp`.

    Returns
    -------
    MatrixFlow

    Raises
    ------
    FlowError
        When the flow blows up or the solver cannot continue.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> from lcnlib import QuadraticLoss
    >>> flow = fc.gradient_flow([[[1.0]], [[1.0]]], QuadraticLoss([[2.0]]), [0.0, 20.0])
    >>> flow.end_to_end[-1].round(6).tolist()
    [[2.0]]
    """
    ws = as_weights(weights)
    t = as_times(t)
    w = end_to_end(ws)
    if np.shape(loss.gradient(w)) != w.shape:
        raise InputError(f"loss: expected a gradient of shape {w.shape}, that of W, got "
                         f"{np.shape(loss.gradient(w))}")

    def velocity(_, ws):
        after = [np.asarray(loss.gradient(_product(ws)), dtype=float)]
        for w in ws[:0:-1]:
            after.append(w.mT @ after[-1])
        before, out = None, []
        for w, h in zip(ws, after[::-1]):
            out.append(-h if before is None else -h @ before.mT)
            before = w if before is None else w @ before
        return out

    path, count = solve(velocity, ws, t, rtol=rtol, atol=atol, method=method, **options)
    v = end_to_end(path)
    return MatrixFlow(t, path, v, np.asarray(loss.value(v)), invariants(path), count)
