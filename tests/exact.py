"""Exact rational arithmetic on polynomials, the reference that the library is held against."""

from fractions import Fraction
from itertools import product

import numpy as np


def polynomial(w, stride):
    """{exponent: coefficient} of p_w(x^stride), exactly."""
    return {
        tuple(a * s for a, s in zip(j, stride)): Fraction(float(w[j])) for j in np.ndindex(*w.shape)
    }


def multiply(p, q):
    out = {}
    for (a, x), (b, y) in product(p.items(), q.items()):
        key = tuple(map(sum, zip(a, b)))
        out[key] = out.get(key, 0) + x * y
    return out


def factors(net, filters):
    return [polynomial(w, s) for w, s in zip(filters, net.cumulative_strides)]


def product_of(ps, ndim):
    out = {(0,) * ndim: Fraction(1)}
    for p in ps:
        out = multiply(out, p)
    return out


def end_to_end(net, filters):
    return product_of(factors(net, filters), net.ndim)


def cofactor(net, filters, i):
    ps = factors(net, filters)
    return product_of(ps[:i] + ps[i + 1 :], net.ndim)

