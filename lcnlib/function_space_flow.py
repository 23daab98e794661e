"""The Riemannian gradient flow, integrated in function space alone."""

from math import prod

import numpy as np

from ._core import solver
from ._core.checks import as_end_to_end, as_filters, as_invariants
from ._core.collocation import MESSAGE, suits
from ._core.fields import LiftedField, LossFlow, QuadraticFlow, by_collocation
from ._core.follow import Branch, Edge
from ._core.plan import plan
from .factorization import tolerance
from .flow import record
from .lifting import lift
from .losses import QuadraticLoss


def function_space_flow(
    net, loss, v, invariants, t, guess=None, *, method=None, rtol=1e-9, atol=None, stop=None,
    progress=False, **options
):
    """Riemannian gradient flow dv/dt = -K_delta(v) grad l(v), knowing only v and delta.

    Main theorem of Achour, Kohn and Rauhut: this is the
    path of the end-to-end filter of every gradient flow with these invariants.
    The kernel K_delta(v) comes from the factorisation of v with invariants delta,
    found once by `lift` and then followed by Newton's method as v moves.

    Book: thm-06-riemannian-flow, thm-sheets.

    Parameters
    ----------
    net : LCN
    loss : object with methods ``value(v)`` and ``gradient(v)``
    v : ndarray, shape (*batch, *k)
        End-to-end filter at time t[0], in the smooth locus of the neuromanifold.
    invariants : array_like, shape (H-1,) or (*batch, H-1)
    t : array_like, shape (T,)
        Increasing times at which to report.
    guess : sequence of H ndarrays, shapes (*batch, *k_i), optional
        Picks the factorisation of the initial v where several carry different kernels.
    method, rtol, atol, **options
        As in `gradient_flow`.
    stop : float or callable, optional
        As in `gradient_flow`: a number for the norm of dL/dw, which is the length in g_delta
        of the Riemannian gradient, or a function ``stop(t, v)``, v of shape k.
    progress : bool or callable, optional
        As in `gradient_flow`.

    Returns
    -------
    FlowResult
        `filters` are the lifts of the reported v; `end_to_end` their products.

    Raises
    ------
    InputError, NotInFunctionSpaceError, AmbiguousFactorizationError
        When the start does not fit, is not in M, or needs a guess.
    SingularPointError
        When the differential drops rank at the start.
    FlowError
        When the flow leaves the immersive points of its sheet: the rank drops, two branches of
        factorisations meet, or v reaches zero.  Its `time` says when, to about the square root
        of rtol.  Also when two branches are too near for rtol to tell apart.  A self-crossing,
        where other sheets only pass, is no reason to stop.  In two or more dimensions no generic
        flow meets such a point; one that symmetry sends there may step across it.

    Examples
    --------
    >>> import numpy as np
    >>> net = LCN((2, 2), strides=2)
    >>> loss = QuadraticLoss([1.0, 2.0, 3.0, 6.0])
    >>> t = np.linspace(0, 20, 5)
    >>> one = gradient_flow(net, loss, [[1.0, 0.5], [0.5, 1.0]], t)
    >>> two = function_space_flow(net, loss, one.end_to_end[0], one.invariants[0], t)
    >>> bool(np.abs(one.end_to_end - two.end_to_end).max() < 1e-7)
    True
    """
    exact = tolerance(v, None, 1)
    v = as_end_to_end(net, v)
    t = solver.as_times(t)
    solver.check_tolerances(rtol, atol)
    batch, k = v.shape[: v.ndim - net.ndim], net.end_to_end_shape
    delta = as_invariants(net, invariants, batch)
    solver.check_loss(loss, v, batch)
    flat_v = v.reshape(-1, prod(k))
    flat_delta = delta.reshape(len(flat_v), net.depth - 1)
    p = plan(net)
    branch = Branch(net, flat_delta, _initial_lifts(net, flat_v, flat_delta, guess, batch, exact))
    branch.follow(flat_v)
    flat_v = p.product(branch.theta)  # what was noise in v is not carried along
    settings = {"rtol": rtol, "atol": atol, "progress": progress}
    lifts = np.empty((len(t), len(flat_v), net.n_parameters))
    left, n_evaluations, message, rule = np.ones(len(flat_v), bool), 0, "", None
    if (type(loss) is QuadraticLoss and len(flat_v) and stop is None
            and suits(net, t, method, options, rtol, atol)):
        message = MESSAGE
        left, n_evaluations = _by_collocation(branch, loss, flat_v, t, lifts, **settings)
    if left.any() or not len(left):
        # Some flows of a quadratic loss, or all of another one, which may know the batch.
        shape = v.shape if left.all() else (int(left.sum()), *k)
        some = Branch(net, flat_delta[left], branch.theta[left])
        some.follow(flat_v[left])
        lifts[:, left], count, message, rule = _by_solver(
            some, solver.slope_of(loss), flat_v[left].reshape(shape), t, stop, method=method,
            **settings, **options)
        n_evaluations += count
    return record(net, loss, t, batch, flat_delta, rtol, lifts, n_evaluations, message, rule)


def _by_collocation(branch, loss, v, t, lifts, rtol, atol, progress):
    """Fills lifts (T, B, P); the flows that need a closer look, and the evaluations."""
    field = LiftedField(branch, QuadraticFlow(branch.net, loss.target, loss.weight),
                        Edge(branch, rtol, None).floor)
    y, count, left = by_collocation(field, v, t, rtol, atol, solver.whole_size, progress)
    y[:, left] = v[left]
    if not left.all():
        lifts[:], lost = field.path(t - t[0], y)
        left |= lost
    return left, count


def _by_solver(branch, slope, v, t, stop, **settings):
    """Lifts (T, B, P), evaluations, message and the `Stop`, by a method of SciPy."""
    p, k = branch.plan, branch.net.end_to_end_shape
    batch = v.shape[: v.ndim - branch.net.ndim]
    flat_v = v.reshape(len(branch.theta), -1)
    pull = LossFlow(branch.net, slope, batch).velocity

    def slow(flows, _, x):
        here, whole = branch.theta, p.product(branch.theta)
        whole[flows] = x
        found = branch.follow(whole)
        sizes = np.linalg.norm(pull(branch.theta)[flows], axis=1)
        branch.theta = here
        return found & (sizes <= stop)

    def told(_, times, x):
        return [stop(t[0] + time, y.reshape(k)) for time, y in zip(times.tolist(), x)]

    rule = solver.Stop.of(stop, slow, told, flat_v)

    def moving(speed):
        return speed if rule is None else speed * np.isnan(rule.ended)[:, None]

    edge = Edge(branch, settings["rtol"], lambda theta: moving(pull(theta)))

    def rhs(time, x):
        if not (np.isfinite(x).all() and branch.follow(x, time)):
            return np.full_like(x, np.nan)  # the solver then tries a smaller step
        g = np.asarray(slope(x.reshape(v.shape)), dtype=float).reshape(x.shape)
        force, push = p.there_and_back(branch.theta, g)
        branch.remember(time, moving(-force))
        return -push

    y, n_evaluations, message = solver.integrate(
        rhs, flat_v, t, sizes=solver.whole_size, event=edge, stop=rule, **settings)
    return branch.path(t, y, edge.trail), n_evaluations, message, rule


def _initial_lifts(net, v, delta, guess, batch, rtol):
    """One packed lift for each flow of the batch, (B, P)."""
    p = plan(net)
    if guess is not None:
        guess = [np.broadcast_to(w, batch + k).reshape(len(v), *k)
                 for w, k in zip(as_filters(net, guess, "guess"), net.filter_shapes)]
    found = [lift(net, row.reshape(net.end_to_end_shape), delta[b], guess and [w[b] for w in guess],
                  rtol=rtol) for b, row in enumerate(v)]
    return np.array([p.pack(ws)[0] for ws in found]).reshape(len(v), net.n_parameters)
