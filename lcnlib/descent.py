"""Discrete training: gradient descent with heavy-ball momentum."""

import numbers

import numpy as np

from ._core.checks import as_filters
from ._core.solver import check_loss
from .convolution import end_to_end
from .errors import FlowError, InputError
from .invariants import invariants
from .kernel import vjp
from .record import FlowResult


def gradient_descent(net, loss, filters, step, n_steps, momentum=0.0):
    """Gradient descent on the loss L = l o mu, every step recorded.

    With velocities u_i that start at zero, one step is

        u_i <- momentum * u_i - step * dL/dw_i,    w_i <- w_i + u_i.

    Without momentum one step changes delta_i by exactly
    step^2 (|dL/dw_{i+1}|^2 - |dL/dw_i|^2).  Nothing is projected: `invariants` in the
    record is the drift that training has.  Batch axes hold independent runs.

    Book: prop-03-drift, prop-stable-step.

    Parameters
    ----------
    net : LCN
    loss : object with methods ``value(v)`` and ``gradient(v)``
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
    step : float
        Positive step size.
    n_steps : int
        How many steps; at least one.
    momentum : float, optional
        At least 0 and less than 1.  With momentum m the run follows the gradient flow
        at the times t / (1 - m), for small steps.

    Returns
    -------
    FlowResult
        As of `gradient_flow`, at the n_steps + 1 times t = step * n.  The loss may rise
        when the step is too large.

    Raises
    ------
    FlowError
        When the run blows up; its `time` is that of the last finite state.

    See Also
    --------
    gradient_flow : the limit of small steps.

    Examples
    --------
    >>> net, loss = LCN((2, 2), strides=2), QuadraticLoss([1.0, 2.0, 3.0, 6.0])
    >>> run = gradient_descent(net, loss, [[1.0, 0.5], [0.5, 1.0]], 0.05, 400)
    >>> run.end_to_end[-1].round(6).tolist()
    [1.0, 2.0, 3.0, 6.0]
    """
    ws = [w.copy() for w in as_filters(net, filters)]
    step, momentum, n_steps = _settings(step, momentum, n_steps)
    path = [np.empty((n_steps + 1, *w.shape)) for w in ws]
    us = [np.zeros_like(w) for w in ws]
    v = end_to_end(net, ws)
    check_loss(loss, v, v.shape[: v.ndim - net.ndim])
    vs = np.empty((n_steps + 1, *v.shape))
    for n in range(n_steps + 1):
        for kept, w in zip(path, ws):
            kept[n] = w
        vs[n] = v
        if n == n_steps:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                gradient = vjp(net, ws, np.asarray(loss.gradient(v), dtype=float))
                us = [momentum * u - step * g for u, g in zip(us, gradient)]
                ws = [w + u for w, u in zip(ws, us)]
                v = end_to_end(net, ws)
                value = np.asarray(loss.value(v), dtype=float)
                finite = np.isfinite(v).all() and np.isfinite(value).all()
            except InputError:  # an argument overflowed on the way
                finite = False
        if not finite:
            raise FlowError(
                f"step: expected one for which the run stays finite, got {step:g} with momentum "
                f"{momentum:g}, and a blow-up in step {n + 1}, t = {step * (n + 1):g}; use a "
                "smaller step", step * n,
            )
    t = step * np.arange(n_steps + 1)
    values = np.stack([np.asarray(loss.value(x), dtype=float) for x in vs])
    return FlowResult(
        t, path, vs, values, invariants(net, path), n_steps, True, f"{n_steps} steps done."
    )


def _settings(step, momentum, n_steps):
    """The three numbers, checked."""
    for name, x, low, fits in (
        ("step", step, "a positive number", lambda x: 0 < x < np.inf),
        ("momentum", momentum, "a number at least 0 and less than 1", lambda x: 0 <= x < 1),
    ):
        if not isinstance(x, numbers.Real) or not fits(x):
            raise InputError(f"{name}: expected {low}, got {x!r}")
    if not isinstance(n_steps, numbers.Integral) or isinstance(n_steps, bool) or n_steps < 1:
        raise InputError(f"n_steps: expected an integer, at least 1, got {n_steps!r}")
    return float(step), float(momentum), int(n_steps)
