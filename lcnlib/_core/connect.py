"""The geodesic between two points of the level set of the invariants.

A shortest curve turns every direction u_i along the great circle to its end, by the angle phi_i:
any other curve becomes no longer when its directions are replaced by great circles.  What
remains is a problem in (t, phi_1 ... phi_H): which start velocity (radial, swing_1 ... swing_H)
ends, after the time one, at the given radii and angles?

When the invariants vanish these coordinates are a flat cone, and the answer is elementary.
Otherwise Newton's method on `Orbit` finds it: from the answer of the flat cone that has the same
lengths of its rays, and where that is too far, in steps along which the angles open from zero.
"""

from typing import NamedTuple

import numpy as np

from ..errors import FlowError
from .orbit import Orbit, ray_length
from .tangent import gaps, weights

# A difference quotient of this step leaves Newton's method a factor of a million per iteration.
DIFFERENCE = 1e-7
ITERATIONS = 25
# What rounding of the quadratures leaves, for numbers of size one.
CLOSE = 2e-13
# The angles open in steps of at least this part.
LEAST_PART = 1e-3


class Line(NamedTuple):
    """The shortest way between two points."""

    length: float
    ray: float  # from the first point to the zero filter
    velocity: list  # horizontal, H arrays; None where no geodesic has this length


def shortest(radii, units, end, others):
    """The `Line` from filters with these norms (H,) and directions, H arrays, to others.

    The signs of filters are free but for their product: all angles are at most a right one, but
    perhaps for one of them.  The distance grows with every angle, so no other choice can be
    shorter than the best of these.
    """
    scale = radii.min()
    # What is measured at the smaller filters is known to more digits.
    small = radii if radii.min() <= end.min() else end
    a = gaps(small) * (small.min() / scale) ** 2
    end, radii = np.sqrt((end.min() / scale) ** 2 + a), np.sqrt(1 + a)
    rays = np.array([ray_length(radii), ray_length(end)])
    apart = [np.linalg.norm(x - y) for x, y in zip(units, others)]
    joint = [np.linalg.norm(x + y) for x, y in zip(units, others)]
    angles = 2 * np.arctan2(np.minimum(apart, joint), np.maximum(apart, joint))
    flips = np.greater(apart, joint)
    choices = [flips]
    if flips.sum() % 2:
        choices = flips ^ np.eye(len(flips), dtype=bool)
    fixed = np.array([len(u) == 1 for u in units])
    length, velocity = np.inf, None
    for flip in choices:
        phi = np.where(flip == flips, angles, np.pi - angles)
        if (phi[fixed] > 1).any():
            continue
        if len(phi) == 1 and phi[0] > np.pi * (1 - 1e-15):  # a flat space, a line through zero
            length = scale * rays.sum()
            continue
        x = connect(radii, end, phi, rays, balanced=not a.any())
        if x is None:
            raise FlowError(
                "other: expected a point for which Newton's method finds a geodesic from "
                f"filters, got angles {phi.round(4)} for which it does not; go there in two "
                "steps, by a point between")
        if scale * np.linalg.norm(x) < length:
            length = scale * float(np.linalg.norm(x))
            velocity = [scale * (x[0] * c * u + swing * _towards(u, -y if f else y))
                        for c, u, y, swing, f in zip(
                            np.sqrt(weights(radii)), units, others, x[1:], flip)]
    return Line(length, scale * rays[0], velocity)


def _towards(u, end):
    """The unit vector orthogonal to u in which the great circle to `end` begins."""
    e = end - (u @ end) * u
    if np.linalg.norm(e) < 1e-14:  # at the point itself, or its opposite: any direction
        e = np.zeros_like(u)
        e[np.abs(u).argmin()] = 1.0
        e = e * (len(u) > 1)
    e = e - (u @ e) * u
    return e / (np.linalg.norm(e) or 1.0)


def cone(start, end, angle):
    """Radial and angular velocity at the start of the line between two points of a flat cone.

    `start` and `end` are distances to the tip, `angle` is less than pi.
    """
    return end - start - 2 * end * np.sin(angle / 2) ** 2, end * np.sin(angle)


def connect(radii, end, phi, rays, balanced):
    """Velocity (radial, swing_1 ... swing_H) of the geodesic that arrives at the time one.

    Parameters
    ----------
    radii, end : ndarrays, shape (H,)
        Norms of the filters at both points, of about size one, with equal invariants.
    phi : ndarray, shape (H,)
        Angles to turn by, at least zero.
    rays : ndarray, shape (2,)
        The distances of both points to the zero filter.
    balanced : bool
        Whether all radii are equal.

    Returns
    -------
    ndarray, shape (1 + H,), or None where Newton's method fails
    """
    phi = np.minimum(phi, np.pi * (1 - 1e-12))  # a half turn leads through zero: nearly so
    if balanced:
        radial, turn = cone(*rays, np.sqrt((phi * phi).mean()))
        return np.concatenate([[radial], turn * phi / (np.linalg.norm(phi) or 1.0)])

    def guess(part):
        # The cone's angle: the swing of the radii half way, seen from the tip.
        middle = np.sqrt(radii * end)
        length = np.sqrt(((middle * part * phi) ** 2).sum())
        angle = length / np.sqrt(rays[0] * rays[1])
        radial, turn = cone(*rays, min(angle, 3.0))
        return np.concatenate([[radial], turn * middle * phi * part / max(length, 1e-300)])

    x = _shoot(radii, end, phi, guess(1.0))
    if x is not None:
        return x
    x, part, step = np.array([rays[1] - rays[0], *np.zeros_like(phi)]), 0.0, 0.25
    while part < 1:
        new = min(part + step, 1.0)
        first = guess(new) if part == 0 else np.concatenate([x[:1], x[1:] * new / part])
        better = _shoot(radii, end, new * phi, first)
        if better is None:
            step /= 2
            if step < LEAST_PART:
                return None
        else:
            x, part, step = better, new, 1.5 * step
    return x


def _arrival(radii, x):
    """Logarithm of the least squared radius and angles at the time one; None past the zero."""
    speed = np.linalg.norm(x)
    orbit = Orbit(radii, x[0] / speed, np.abs(x[1:]) / speed)
    if 0 < orbit.exit <= speed:
        return None
    z, phi = orbit.path(np.array([speed]))
    return np.concatenate([np.log(orbit.tau(z)), np.copysign(phi[0], x[1:])])


def _shoot(radii, end, phi, x):
    """Newton's method from the velocity x; None where it fails."""
    free = np.concatenate([[True], phi > 0])  # a filter that does not turn has no swing
    goal = np.concatenate([[2 * np.log(end.min())], phi])
    x = np.where(free, x, 0.0)
    if not x.any():
        return x if np.allclose(radii, end, rtol=1e-15, atol=0) else None

    def off(x):
        there = _arrival(radii, x)
        return None if there is None else (goal - there)[free]

    rest = off(x)
    for _ in range(ITERATIONS):
        if rest is None:
            return None
        if np.abs(rest).max() < CLOSE:
            return x
        h = DIFFERENCE * np.linalg.norm(x)
        slopes = []
        for i in np.flatnonzero(free):
            moved = off(x + h * (np.arange(len(x)) == i))
            if moved is None:
                return None
            slopes.append((rest - moved) / h)
        try:
            step = np.linalg.solve(np.array(slopes).T, rest)
        except np.linalg.LinAlgError:  # the caller tries another start
            return None
        size, t = np.abs(rest).max(), 1.0
        while t > 1e-3:
            trial = x.copy()
            trial[free] += t * step
            new = off(trial)
            if new is not None and np.abs(new).max() < size:
                break
            t /= 2
        else:
            return x if size < 100 * CLOSE else None  # rounding
        x, rest = trial, new
    return None
