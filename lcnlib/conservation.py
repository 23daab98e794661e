"""Conservation laws found from gradients alone (chapter "Conservation laws without theory")."""

import operator
from dataclasses import dataclass

import numpy as np

from ._core.checks import as_real
from ._core.plan import plan
from .errors import InputError
from .network import LCN, as_generator

# The null space of a matrix with P(P+1)/2 columns: at 60 parameters a few seconds.
MOST_PARAMETERS = 60
TRIES = 100


@dataclass(frozen=True)
class ConservationLaws:
    """Quadratic forms theta^T S theta that no gradient flow changes.

    Attributes
    ----------
    laws : ndarray, shape (n, P, P)
        A basis of the symmetric matrices S, in reduced echelon form: each law has an entry one
        where the others have zero, so that laws with simple coefficients look simple.
    singular_values : ndarray
        Of the linear system for S, divided by the largest; decreasing, one for each entry of S.
    n_samples : int
        Number of gradients used, one equation each.
    gap : float
        The smallest singular value that counts as non-zero, over the largest of the others.
    """

    laws: np.ndarray
    singular_values: np.ndarray
    n_samples: int
    gap: float

    def __len__(self):
        return len(self.laws)

    def values(self, theta):
        """The conserved numbers theta^T S theta, shape (*batch, n), of packed parameters."""
        theta, size = as_real(theta, "theta"), self.laws.shape[-1]
        if theta.ndim < 1 or theta.shape[-1] != size:
            raise InputError(f"theta: expected shape (*batch, {size}), got {theta.shape}")
        return np.einsum("...i,nij,...j->...n", theta, self.laws, theta)


def conserved_laws(net, seed=0, *, n_parameters=None, n_samples=None, rtol=1e-9):
    """All quadratic conservation laws of gradient flow, found numerically without theory.

    A quadratic form is conserved for every loss when its gradient 2 S theta is orthogonal to the
    gradient of every loss at every theta.  Each random point and loss gives one linear equation
    for S; the laws are the null space of sufficiently many.

    Book: thm-laws-quadratic.

    Parameters
    ----------
    net : LCN or callable
        A callable ``gradient(theta, rng)`` returns the gradient, shape (P,), of a random loss
        of some model at theta, shape (P,); then `n_parameters` is needed.
    seed : int or numpy.random.Generator
    n_parameters : int, optional
        P, for a callable.
    n_samples : int, optional
        Number of equations; by default P(P+1)/2 + 20.  Fewer than P(P+1)/2 minus the number of
        laws always invent laws.
    rtol : float, optional
        Singular values below `rtol` times the largest count as zero.

    Returns
    -------
    ConservationLaws

    Raises
    ------
    InputError
        When an argument does not fit, gradients are zero or not finite, or there are more
        than 60 parameters.

    Examples
    --------
    >>> found = conserved_laws(LCN((3, 2), strides=2))
    >>> len(found), (found.laws[0].diagonal() / found.laws[0][0, 0]).round(9).tolist()
    (1, [1.0, 1.0, 1.0, -1.0, -1.0])
    """
    if isinstance(net, LCN):
        size = net.n_parameters

        def gradient(theta, rng):
            g = rng.standard_normal(net.end_to_end_shape)
            return plan(net).vjp(theta[None], g.reshape(1, -1))[0]
    elif callable(net):
        gradient = net
        try:
            size = operator.index(n_parameters)
        except TypeError:
            raise InputError("n_parameters: expected the number of parameters of the model, got "
                             f"{n_parameters!r}") from None
    else:
        raise InputError("net: expected an LCN, or a function gradient(theta, rng), got "
                         f"{type(net).__name__}")
    if not 1 <= size <= MOST_PARAMETERS:
        raise InputError(f"net: expected at most {MOST_PARAMETERS} parameters, as the search "
                         f"solves for P(P+1)/2 unknowns, got {size}; try a smaller one")
    if not 0 < rtol < 1:
        raise InputError(f"rtol: expected a number in (0, 1), got {rtol!r}")
    rows, columns = np.triu_indices(size)
    unknowns = len(rows)
    n = unknowns + 20 if n_samples is None else n_samples
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError(f"n_samples: expected an int >= 1, got {n_samples!r}")
    seed = as_generator(seed)
    system = np.empty((n, unknowns))
    # Entries off the diagonal count twice in theta^T S theta: root two keeps lengths.
    weight = np.where(rows == columns, 0.5, np.sqrt(0.5))
    for i in range(n):
        for _ in range(TRIES):  # a gradient may vanish, as that of a ReLU that is not active
            theta = seed.standard_normal(size)
            g = np.asarray(gradient(theta, seed), dtype=float)
            if g.shape != (size,) or not np.isfinite(g).all() or g.any():
                break
        if g.shape != (size,) or not np.isfinite(g).all() or not g.any():
            raise InputError(f"net: expected a gradient of shape ({size},), finite and not always "
                             f"zero, got shape {g.shape}, largest entry {np.abs(g).max(initial=0)}")
        g = g / np.abs(g).max()
        g = g / np.linalg.norm(g)
        system[i] = weight * (theta[rows] * g[columns] + theta[columns] * g[rows])
    _, s, vt = np.linalg.svd(system)
    s = np.concatenate([s, np.zeros(unknowns - len(s))]) / s[0]
    count = int((s <= rtol).sum())
    basis = _echelon(vt[unknowns - count :])
    laws = np.zeros((count, size, size))
    laws[:, rows, columns] = basis * np.where(rows == columns, 1, np.sqrt(0.5))
    laws[:, columns, rows] = laws[:, rows, columns]
    for law in laws:  # with largest entry one
        law /= law.flat[np.abs(law).argmax()]
    known, rest = s[: unknowns - count], s[unknowns - count :]
    gap = float(known[-1] / max(rest[0], np.finfo(float).tiny)) if count and len(known) else np.inf
    return ConservationLaws(laws, s, n, gap)


def _echelon(basis):
    """The rows recombined so that each has a one where the others have zeros."""
    out = basis.copy()
    for i in range(len(out)):
        row, column = np.unravel_index(np.abs(out[i:]).argmax(), out[i:].shape)
        out[[i, i + row]] = out[[i + row, i]]
        out[i] /= out[i, column]
        others = np.arange(len(out)) != i
        out[others] -= np.outer(out[others, column], out[i])
    return out
