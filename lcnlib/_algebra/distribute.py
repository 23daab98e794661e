"""Distributions of irreducible factors among layers of given degrees: counted and listed."""

from functools import cache


def distributions(degrees, multiplicities, capacities, limit=None):
    """All ways to give each layer factors whose degrees add up to its own, on every axis.

    Equal factors (multiplicity m) are not told apart.

    Parameters
    ----------
    degrees : sequence of tuples of D ints
        Degree of each distinct factor.
    multiplicities : sequence of ints
    capacities : sequence of tuples of D ints
        Degree of each layer.
    limit : int, optional

    Returns
    -------
    (int, list or None)
        The number of distributions, and the list of them unless there are more than `limit`: each
        one tuple for each layer, with the number of copies of every factor.
    """
    degrees, capacities = [tuple(d) for d in degrees], tuple(tuple(c) for c in capacities)

    @cache
    def ways(j, room):
        """Ways to place the factors j, j+1, ... when the layers, in any order, have `room`."""
        if j == len(degrees):
            return int(not any(map(any, room)))
        return sum(count(j + 1, left) for _, left in placements(j, room))

    def count(j, room):
        return ways(j, tuple(sorted(room)))

    @cache
    def placements(j, room):
        """(copies for each layer, room left) for every placement of the factor j."""
        return tuple(_spread(degrees[j], multiplicities[j], room))

    total = count(0, capacities)
    if limit is not None and total > limit:
        return total, None
    out = [((), capacities)]
    for j in range(len(degrees)):
        out = [
            (chosen + (copies,), left)
            for chosen, room in out
            for copies, left in placements(j, room)
            if count(j + 1, left)
        ]
    return total, [tuple(zip(*chosen)) or ((),) * len(capacities) for chosen, _ in out]


def count_distributions(degrees, multiplicities, capacities):
    """The number alone."""
    return distributions(degrees, multiplicities, capacities, limit=-1)[0]


def _spread(degree, copies, room):
    """Ways to give `copies` equal factors of this degree to layers with this room."""
    if not room:
        if copies == 0:
            yield (), ()
        return
    first, rest = room[0], room[1:]
    for n in range(copies + 1):
        left = tuple(r - n * d for r, d in zip(first, degree))
        if min(left) < 0:
            return
        for counts, others in _spread(degree, copies - n, rest):
            yield (n, *counts), (left, *others)
