"""From a function and its invariants back to the parameters."""

from math import prod

import numpy as np

from ._algebra.newton import directions, distinct, isolation, polish
from ._algebra.polynomials import TooLargeError
from ._algebra.splitting import TooManyFactorizationsError
from ._core.checks import as_filters, as_invariants
from ._core.plan import plan
from ._core.scaling import fibre_factors
from .errors import (
    AmbiguousFactorizationError,
    InputError,
    NotInFunctionSpaceError,
    SingularPointError,
    ZeroFilterError,
)
from .factorization import as_one_end_to_end, factorizations, tolerance


def lift(net, v, invariants, guess=None, *, rtol=None, limit=10_000):
    """Filters with a given end-to-end filter and given invariants.

    Book: prop-03-fibre, thm-05-one-kernel, alg-05-lift, prop-07-branches.

    The factorisation of v fixes the filters up to scalars, and the invariants fix the scalars up
    to signs.  Where v has several factorisations, they are several *branches*.

    Without `guess`, all branches must carry one kernel K.  That is the case when the factorisation
    is unique, and when the others only permute interchangeable layers of equal norm; then the
    first in the order of `factorizations` is taken.  In layers 1 ... H-1 the first
    entry that is not negligible (above 1e-8 of the largest) is positive; the last layer has the
    sign of v.

    With `guess`, the nearest branch: the smallest sum of squared distances between
    corresponding filters, all scaled to norm one, over all branches and signs.  Only when
    there are more than `limit` of them is it the one that Gauss-Newton reaches from the guess.

    Parameters
    ----------
    net : LCN
    v : ndarray, shape k, not zero
    invariants : array_like, shape (H-1,)
    guess : sequence of H ndarrays, shapes k_i, none of them zero, optional
        Any scale and sign.
    rtol : float, optional
        v counts as expressible when its distance from the product is at most rtol |v|.  By
        default 1e-10, and 1e-5 for a v in single precision.
    limit : int, optional
        Most factorisations to list.

    Returns
    -------
    list of H ndarrays, shapes k_i

    Raises
    ------
    NotInFunctionSpaceError
        When v has no real factorisation.
    AmbiguousFactorizationError
        When several kernels are possible and there is no guess; its ``branches`` hold filters for
        each of them (none when there are more than `limit` factorisations).
    SingularPointError
        When Gauss-Newton from the guess stalls where the differential drops rank and there are
        too many factorisations to list.
    ZeroFilterError
        When v or a filter of the guess is zero.

    Examples
    --------
    >>> net = LCN((2, 2), strides=2)
    >>> w = lift(net, [3.0, 6.0, 1.0, 2.0], [0.0])
    >>> (w[0][1] / w[0][0]).round(12), end_to_end(net, w).round(12).tolist()
    (np.float64(2.0), [3.0, 6.0, 1.0, 2.0])
    """
    rtol = tolerance(v, rtol, limit)
    v = as_one_end_to_end(net, v)
    delta = one_invariants(net, invariants)
    if guess is not None:
        return _nearest(net, v, delta, _one_guess(net, guess), rtol, limit)
    try:
        found = factorizations(net, v, rtol=rtol, limit=limit)
    except TooManyFactorizationsError as error:
        raise AmbiguousFactorizationError(f"{error}; or pass `guess` to pick a branch") from None
    if not found:
        raise not_in_function_space(rtol)
    branches = [scaled(net, v, delta, f) for f in found]
    keep = distinct_kernels(net, branches)
    if len(keep) > 1:
        raise AmbiguousFactorizationError(
            f"v: expected one kernel at these invariants, got {len(keep)} ({len(branches)} "
            "factorisations); pass `guess`, for example one of this error's `branches`",
            [branches[i] for i in keep],
        )
    return branches[0]


def one_invariants(net, invariants):
    delta = as_invariants(net, invariants)
    if delta.ndim != 1:
        raise InputError(f"invariants: expected shape ({net.depth - 1},), got {delta.shape}; loop "
                         "over the batch")
    return delta


def _one_guess(net, guess):
    guess = as_filters(net, guess, "guess")
    if guess[0].ndim != net.ndim:
        raise InputError("guess: expected filters without batch axes; loop over the batch")
    for i, w in enumerate(guess):
        if not w.any():
            raise ZeroFilterError(f"guess[{i}]: expected a non-zero filter, got zero; its "
                                  "direction is what tells branches apart")
    return [w / np.abs(w).max() for w in guess]


def not_in_function_space(rtol):
    return NotInFunctionSpaceError(
        f"v: expected an end-to-end filter of the network up to rtol = {rtol:g}, got one without "
        "a real factorisation; take the nearest one, project(net, v).end_to_end, or pass a larger "
        "rtol when v is noisy"
    )


def scaled(net, v, delta, filters):
    """The filters along `filters` with product v and invariants delta.

    Signs are kept but for the last filter, which takes the one that v needs.
    """
    p, at = plan(net), directions(net, v, filters)
    theta = at.flat[None]
    theta[:, p.parts[-1]] *= at.c * np.linalg.norm(v / np.abs(v).max()) * np.abs(v).max()
    lam = fibre_factors(p, theta, delta[None], ())
    return p.unpack(theta * np.repeat(lam, p.sizes, axis=1), ())


def distinct_kernels(net, branches):
    """Indices of branches, the first for each different kernel K.

    K is compared on three random covectors, which differ almost surely when kernels do.
    """
    p = plan(net)
    theta = np.concatenate([p.pack(ws) for ws in branches])
    theta /= np.abs(theta).max()
    covectors = np.random.default_rng(0).standard_normal((3, 1, prod(net.end_to_end_shape)))
    rows = [p.there_and_back(theta, np.repeat(g, len(theta), axis=0))[1] for g in covectors]
    return distinct(np.concatenate(rows, axis=1))


def _nearest(net, v, delta, guess, rtol, limit):
    at = polish(directions(net, v, guess))
    if at.residual <= rtol:
        signed, distance = _with_signs_of(at, guess)
        if distance < isolation(at) / 2:
            return scaled(net, v, delta, signed)
    try:
        branches = factorizations(net, v, rtol=rtol, limit=limit)
    except TooLargeError as error:
        if at.residual > rtol:
            raise _did_not_converge(at, rtol, error) from None
        branches = [at.filters]
    if not branches:
        raise not_in_function_space(rtol)
    signed = [_with_signs_of(directions(net, v, f), guess) for f in branches]
    return scaled(net, v, delta, min(signed, key=lambda answer: answer[1])[0])


def _with_signs_of(at, guess):
    """Unit filters with the admissible signs nearest to the guess, and their distance to it."""
    guess = [g / np.linalg.norm(g) for g in guess]
    cosines = np.array([np.vdot(w, g) for w, g in zip(at.filters, guess)])
    signs = np.where(cosines < 0, -1.0, 1.0)
    if at.c * signs.prod() < 0:
        signs[np.abs(cosines).argmin()] *= -1
    filters = [sign * w for sign, w in zip(signs, at.filters)]
    return filters, np.sqrt(sum(np.sum((w - g) ** 2) for w, g in zip(filters, guess)))


def _did_not_converge(at, rtol, error):
    what = f"Gauss-Newton from the guess stopped at relative residual {at.residual:.1e} > {rtol:g}"
    too_many = f"the factorisations cannot be listed ({error})"
    s = at.singular_values() if at.c else np.zeros(1)
    if s[-1] <= 1e-6 * s[0]:
        return SingularPointError(
            f"guess: {what}, where the differential drops rank, and {too_many}; pass a guess "
            "nearer to the branch wanted"
        )
    return NotInFunctionSpaceError(
        f"guess: {what}, and {too_many}; pass a nearer guess, a larger limit or a larger rtol"
    )
