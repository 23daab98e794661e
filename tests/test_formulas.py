r"""Displayed formulas that `lcnlib` computes, evaluated from their own TeX against the library.

The TeX is read out of the chapter, so that a sign or factor changed there fails here.
"""

import json
import re
from collections import Counter
from functools import cache, reduce
from math import comb, factorial, prod
from operator import and_
from pathlib import Path

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss
from lcnlib import fully_connected as fc
from lcnlib import shallow_relu as relu

from . import tex

BOOK = Path(__file__).resolve().parents[1] / "book"
MATH = re.compile(r"\$\$(.*?)\$\$|(?<![\\$])\$([^$]+?)\$", re.S)


@cache
def formulas(page):
    cells = json.loads((BOOK / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return [a or b for a, b in MATH.findall(text)]


def find(page, start, end=None):
    """The formula of a page from `start` up to `end`, or to where it ends."""
    for formula in formulas(page):
        if start in formula:
            text = formula[formula.index(start):]
            return text if end is None else text[:text.index(end, len(start))]
    raise AssertionError(f"{page}: no formula with {start!r}; if it has been written anew, write "
                         "its new beginning in tests/test_formulas.py")


def col(x):
    return np.reshape(np.asarray(x, dtype=float), (-1, 1))


def layers(xs):
    return dict(enumerate(xs, 1))


THREE = LCN((3, 2, 2), (2, 2, 1))


def example(net=THREE, seed=5):
    """Symbols of a random point of a network, and of a quadratic loss."""
    rng = np.random.default_rng(seed)
    w = lcn.random_filters(net, rng)
    v, jacobian = lcn.end_to_end(net, w), lcn.jacobian(net, w)
    root = rng.standard_normal((v.size, v.size))
    loss = QuadraticLoss(rng.standard_normal(net.end_to_end_shape), root @ root.T)
    g = loss.gradient(v)
    norms = [np.linalg.norm(x) for x in w]
    delta = lcn.invariants(net, w)
    sigma = np.concatenate([[0.0], np.cumsum(delta)])
    pieces = np.split(jacobian, np.cumsum([x.size for x in w])[:-1], axis=1)
    grad = lcn.vjp(net, w, g)
    k = lcn.ntk(net, w)
    env = {
        "H": net.depth, "I": np.eye(v.size), "v": col(v), "w": layers(map(col, w)),
        "T": layers(pieces), r"\dd \mu": jacobian, "K": k, "r": layers(norms),
        "u": layers(col(x) / n for x, n in zip(w, norms)), "t": norms[0] ** 2,
        r"\delta": layers(delta), r"\sigma": layers(sigma), "S": sum(n**-2 for n in norms),
        r"\nabla \ell": lambda v: col(g), r"\dot w": layers(-col(x) for x in grad),
        "g": layers(map(col, grad)), "A": loss.weight, "v^*": col(loss.target),
        "k": v.size,
        "ranges": {n: range(1, net.depth + 1) for n in ("i", "j", "l")},
    }
    return net, w, loss, env


def tangents(net, w, seed=6):
    """Two tangent vectors, orthonormal in g_delta, and their horizontal lifts."""
    basis = lcn.tangent_basis(net, w)
    a, b = np.tensordot(np.random.default_rng(seed).standard_normal((2, len(basis))), basis, 1)
    a = a / np.sqrt(lcn.inner(net, w, a, a))
    b = b - lcn.inner(net, w, a, b) * a
    b = b / np.sqrt(lcn.inner(net, w, b, b))
    return a, b, lcn.horizontal_lift(net, w, a), lcn.horizontal_lift(net, w, b)


TABLE = []


def formula(page, start, end=None):
    """Registers a function that returns the symbols of a formula, or symbols and tolerance."""
    def keep(function):
        TABLE.append(pytest.param(page, start, end, function, id=f"{page}: {start[:40]}"))
        return function
    return keep


# Filters are polynomials

@formula("01_polynomials", r"(\alpha_{w,s}\, x)[n] =")
def _():
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal(3), rng.standard_normal(12)
    return {r"(\alpha_{w,s}\, x)[n]": lcn.apply(LCN((3,), 2), [w], x)[3], "w": w, "x": x, "n": 3,
            "s": 2, "ranges": {"j": range(3)}}


@formula("01_polynomials", r"k = 1 + \sum_{i=1}^{H}")
def _():
    net = LCN((3, 2, 4), (2, 3, 1))
    return {"k": net.end_to_end_shape[0], "k_": layers([3, 2, 4]), "H": 3, "S": layers([1, 2, 6])}


@formula("01_polynomials", r"p_v(x) = \prod_{i=1}^{H} p_i\big(x^{S_i}\big)")
def _():
    _, w, _, env = example()
    return env | {"p_v": polynomial(env["v"]), "p": layers(map(polynomial, w)), "x": 0.7,
                  "S": layers([1, 2, 4])}


def polynomial(w):
    return lambda x: float(np.polynomial.polynomial.polyval(x, np.ravel(w)))


# Gradient flow and what it conserves

@formula("03_flow", r"\tfrac12 (v - v^*)\T A\, (v - v^*) + c")
def _():
    rng = np.random.default_rng(1)
    net, v = LCN((3, 2), 2), rng.standard_normal(5)
    x = rng.standard_normal((3, 14))
    y = rng.standard_normal(lcn.apply(net, lcn.random_filters(net, 0), x).shape)
    loss = QuadraticLoss.from_data(net, x, y)
    step = net.end_to_end_stride[0]
    windows = np.stack([x[:, n * step:n * step + 5] for n in range(y.shape[1])], axis=1)
    error = windows @ v - y
    return {"v": col(v), "v^*": col(loss.target), "A": loss.weight, "c": loss.constant,
            "value": 0.5 * (error**2).sum()}


@formula("03_flow", r"\dot w_i = -\frac{\partial \Loss}{\partial w_i} = -T_i\T \nabla\ell(v)")
def _():
    net, w, loss, env = example()
    step = lcn.gradient_descent(net, loss, w, 1e-3, 1).filters
    h = 1e-6
    slope = [col([(loss.value(lcn.end_to_end(net, moved(w, 1, j, h)))
                   - loss.value(lcn.end_to_end(net, moved(w, 1, j, -h)))) / (2 * h)
                  for j in range(w[1].size)])]
    return env | {"i": 2, r"\dot w_i": col(step[1][1] - step[1][0]) / 1e-3,
                  r"-\frac{\partial \Loss}{\partial w_i}": -slope[0]}, 1e-6


def moved(w, i, j, h):
    out = [np.array(x) for x in w]
    out[i].flat[j] += h
    return out


@formula("03_flow", r"\delta_i = \norm{w_{i+1}}^2 - \norm{w_i}^2")
def _():
    return example()[3] | {"i": 2}


@formula("03_flow", r"\tfrac{\dd}{\dd t}\norm{w_i}^2 &= 2\inner{w_i}{\dot w_i}")
def _():
    net, w, loss, env = example()
    t = 1e-6
    flow = lcn.gradient_flow(net, loss, w, [0, t, 2 * t], rtol=1e-12)
    squares = (flow.filters[1] ** 2).sum(axis=1)
    slope = (4 * squares[1] - squares[2] - 3 * squares[0]) / (2 * t)
    return env | {"i": 2, r"\tfrac{\dd}{\dd t}\norm{w_i}^2": slope}, 1e-6


@formula("03_flow", r"\norm{\lambda_{i+1}w_{i+1}}^2 - \norm{\lambda_i w_i}^2 &= \delta_i")
def _():
    net, w, _, env = example()
    delta = [0.5, -2.0]
    return env | {r"\lambda": layers(lcn.scalings(net, w, delta)[3]), r"\delta": layers(delta),
                  "i": 2}


@formula("03_flow", r"\prod_{i=1}^{H} (t + \sigma_i)")
def _():
    net, w, _, env = example()
    delta = [0.5, -2.0]
    t = (lcn.rescale(net, w, delta)[0] ** 2).sum()
    return env | {"t": t, r"\sigma": layers([0, 0.5, -1.5])}


@formula("03_flow", r"\norm{w_i}^2 - 2\eta\inner{w_i}{g_i} + \eta^2\norm{g_i}^2")
def _():
    net, w, loss, env = example()
    run = lcn.gradient_descent(net, loss, w, 0.01, 1)
    return env | {r"\eta": 0.01, "i": 2, "value": (run.filters[1][1] ** 2).sum()}


@formula("03_flow", r"\eta^2\big(\norm{g_{i+1}}^2 - \norm{g_i}^2\big)")
def _():
    net, w, loss, env = example()
    run = lcn.gradient_descent(net, loss, w, 0.01, 1)
    return env | {r"\eta": 0.01, "i": 2, "value": np.diff(run.invariants, axis=0)[0, 1]}


# From parameters to functions: the kernel; what a metric is

def plane(seed=3):
    """k = (2, 1): the symbols of w_1 = w and of the number w_2 = c."""
    net = LCN((2, 1))
    _, w, _, env = example(net, seed)
    v, c = lcn.end_to_end(net, w), float(w[1][0])
    delta = float(lcn.invariants(net, w)[0])
    k, rho = lcn.ntk(net, w), np.linalg.norm(v)
    a = np.array([0.3, -0.7])
    return net, w, a, env | {
        "w_1": col(w[0]), "w_2": c, "w": col(w[0]), "c": c, "b": c * c, r"\delta": delta,
        r"\dot w_1": env[r"\dot w"][1], r"\dot w_2": float(env[r"\dot w"][2][0, 0]),
        r"\dot v": -k @ env[r"\nabla \ell"](0), "R": np.hypot(delta, 2 * rho), "K": k,
        r"K_\delta": lambda v: k, r"\rho": rho, r"\dd \rho": float(v @ a) / rho,
        r"\dd \varphi": (v[0] * a[1] - v[1] * a[0]) / rho**2, r"g_\delta": lcn.inner(net, w, a, a)}


@formula("04_kernel", r"\dot v &= w_2 \dot w_1 + \dot w_2 w_1")
def _():
    return plane()[3]


@formula("04_kernel", r"\dot w_2 = -\inner{w_1}{\nabla\ell(v)}")
def _():
    return plane()[3]


@formula("04_kernel", r"K(\theta) = \dd\mu\, \dd\mu\T = \sum_{i=1}^{H} T_i T_i\T")
def _():
    env = example()[3]
    return env | {r"K(\theta)": env["K"]}


@formula("04_kernel", r"K[m,n] = \sum_{i,\,j} c_i[m - S_i j]\, c_i[n - S_i j]")
def _():
    net, w, _, env = example()
    pairs = [(i, j) for i in (1, 2, 3) for j in range(net.filter_shapes[i - 1][0])]
    return env | {"c": layers(lcn.cofactors(net, w)), "m": 2, "n": 4, "S": layers([1, 2, 4]),
                  "ranges": {"i,j": pairs}}


@formula("04_kernel", r"K &= b\, I + \frac{1}{b}\, v v\T", r", \\")
def _():
    return plane()[3]


@formula("04_kernel", r"b &= w_2^2 = \tfrac12")
def _():
    return plane()[3]


@formula("04_kernel", r"K(\lambda\theta) = \sum_{i=1}^{H}\lambda_i^{-2}")
def _():
    net, w, _, env = example()
    scales = [2.0, -0.5, -1.0]
    return env | {r"\lambda": layers(scales), "T": layers([lambda _, t=t: t for t in
                                                            env["T"].values()]), r"\theta": 1.0,
                  r"K(\lambda\theta)": lcn.ntk(net, [s * x for s, x in zip(scales, w)])}


@formula("04_kernel", r"\rank\dd\mu = k - \deg\gcd(c_1, \dots, c_H)")
def _():
    """(1+x)^2 (2+x), (1+x)(3+x), (1+x)(5+x): the cofactors share (1+x)^2."""
    c = [Counter([1, 1, 3, 5]), Counter([1, 1, 1, 2, 5]), Counter([1, 1, 1, 2, 3])]
    net, w = LCN((4, 3, 3)), [np.poly([-1, -1, -2]), np.poly([-1, -3]), np.poly([-1, -5])]
    return {r"\rank\dd\mu": lcn.rank(net, [x[::-1] for x in w], rtol=1e-9), "k": 8,
            r"\deg": 1, "c": layers(c), r"\dots": c[1], "H": 3,
            r"\gcd": lambda *roots: reduce(and_, roots).total()}


@formula("06_metric", r"\dd\mu &= \begin{pmatrix} c I & w \end{pmatrix}", ", \\\\")
def _():
    return plane()[3]


@formula("06_metric", r"K &= \dd\mu\,\dd\mu\T = c^2 I + w w\T")
def _():
    return plane()[3]


@formula("06_metric", r"c^2 = \frac{R + \delta}{2}", ", ")
def _():
    return plane()[3]


@formula("06_metric", r"\norm{w}^2 = \frac{R - \delta}{2}")
def _():
    return plane()[3]


@formula("06_metric", r"K_\delta(v) = c^2\, I + \frac{1}{c^2}\, v v\T")
def _():
    return plane()[3]


@formula("06_metric", r"g_\delta = \frac{\dd\rho^2}{R} + \norm{w}^2\, \dd\varphi^2")
def _():
    return plane()[3]


# One function, one kernel

@formula("05_one_kernel", r"V_c = P_c\, r")
def _():
    net, w = LCN((3, 3), 2), lcn.random_filters(LCN((3, 3), 2), 4)
    x = 0.6
    v, p = (layers(polynomial(q)(x) for q in lcn.polyphase(f, 2))
            for f in (lcn.end_to_end(net, w), w[0]))
    return {"V": v, "P": p, "c": 1, "r": polynomial(w[1])(x)}


@formula("05_one_kernel", r"V_c\, q_{c'} = V_{c'}\, q_c")
def _():
    net, w = LCN((3, 3), 2), lcn.random_filters(LCN((3, 3), 2), 4)
    v, p = (layers(polynomial(q)(0.6) for q in lcn.polyphase(f, 2))
            for f in (lcn.end_to_end(net, w), w[0]))
    return {"V": v, "q": p, "c": 1, "c'": 2}


# The Riemannian gradient flow

@formula("07_riemannian_flow", r"K_\delta(v) = c^2 I + \frac{1}{c^2}\, v v\T")
def _():
    return plane()[3]


@formula("07_riemannian_flow", r"g_\delta(a, b) = a\T K_\delta(v)^{+}\, b")
def _():
    net, w, _, env = example()
    a, b, _, _ = tangents(net, w)
    b = b + 0.5 * a
    return env | {"a": col(a), "b": col(b), r"K_\delta": lambda v: env["K"],
                  r"g_\delta(a,b)": lcn.inner(net, w, a, b)}


@formula("07_riemannian_flow", r"g_\delta(a, a) = \frac{r_i^2}{P^2}")
def _():
    net, w, _, env = example()
    turned = [x / np.linalg.norm(x) for x in w]
    e = np.array([-turned[1][1], turned[1][0]])
    a = lcn.end_to_end(net, [turned[0], e, turned[2]])
    return env | {"i": 2, "P": prod(env["r"].values()), r"g_\delta(a,a)": lcn.inner(net, w, a, a)}


# Fully connected networks

def connected(sizes=(2, 3, 2, 3), seed=0):
    ws = fc.random_weights(sizes, seed)
    n = len(ws)
    left, right = [np.eye(sizes[-1])], [np.eye(sizes[0])]
    for w in ws[:0:-1]:
        left.append(left[-1] @ w)
    for w in ws[:-1]:
        right.append(w @ right[-1])
    z = np.random.default_rng(1).standard_normal((sizes[-1], sizes[0]))
    return ws, {"N": n, "W_": layers(ws), "W": fc.end_to_end(ws), "L": layers(left[::-1]),
                "R": layers(right), "Z": z, "j": 1, r"\Delta": layers(fc.invariants(ws)),
                "K(Z)": (fc.ntk(ws) @ z.ravel()).reshape(z.shape)}


@formula("08_fully_connected", r"\Delta_j = W_{j+1}\T W_{j+1} - W_jW_j\T")
def _():
    return connected()[1]


@formula("08_fully_connected", r"K(Z) = \sum_{j=1}^{N} L_jL_j\T\, Z\, R_j\T R_j")
def _():
    return connected()[1]


@formula("08_fully_connected", r"K(Z) = \sum_{j=1}^{N} (WW\T)^{\frac{N-j}{N}}", ",\n")
def _():
    env = connected()[1]
    z = env["Z"]
    return env | {"K(Z)": (fc.balanced_ntk(env["W"], 3) @ z.ravel()).reshape(z.shape)}


def relaxed(level=1.5):
    """A = W_2 W_2^T and B = W_1^T W_1 of weights with W_2^T W_2 - W_1 W_1^T = level."""
    rng = np.random.default_rng(2)
    first = rng.standard_normal((2, 3))
    values, u = np.linalg.eigh(first @ first.T + level * np.eye(2))
    turn = np.linalg.qr(rng.standard_normal((4, 2)))[0]
    second = turn @ (u * np.sqrt(values)) @ u.T
    k = fc.relaxed_ntk(second @ first, level, 2)
    a, b = second @ second.T, first.T @ first
    np.testing.assert_allclose(np.kron(a, np.eye(3)) + np.kron(np.eye(4), b), k, atol=1e-12)
    return {"A": a, "B": b, r"\lambda": level, "W": second @ first}


@formula("08_fully_connected", r"A^2 - \lambda A &= WW\T", r", \\")
def _():
    return relaxed()


@formula("08_fully_connected", r"B^2 + \lambda B &= W\T W")
def _():
    return relaxed()


@formula("08_fully_connected", r"\Psi(G) = G^{-\mathsf T}PG^{-1} - GQG\T = \Delta")
def _():
    ws = fc.random_weights((3, 2, 4), 3)
    other = fc.siblings(ws, np.array([[0.6, 0.8], [-0.8, 0.6]]))
    g = other[0] @ np.linalg.pinv(ws[0])
    return {"G": g, "P": ws[1].T @ ws[1], "Q": ws[0] @ ws[0].T, r"\Delta": fc.invariants(ws)[0],
            r"\Psi(G)": fc.invariants(other)[0]}


# Stride one

@formula("09_bounce", r"N = \frac{(n_1 + \dots + n_H)!}{n_1!\cdots n_H!}")
def _():
    return {"N": lcn.generic_kernel_count(LCN((4, 3, 2))), "n": layers([3, 2, 1]), "H": 3,
            r"\dots": 2, r"\cdots": 2}


def pair(seed=7):
    """k = (2, 2), stride one: w_1 = (a_0, a_1), w_2 = (b_0, b_1)."""
    net = LCN((2, 2))
    _, w, loss, env = example(net, seed)
    v = lcn.end_to_end(net, w)
    g = loss.gradient(v)
    hankel = np.array([[g[0], g[1]], [g[1], g[2]]])

    def det(a, b):
        return float(np.linalg.det(np.hstack([a, b])))

    (root,) = {abs(det(col(w[0]), col(w[1])))}
    two = lcn.lift(net, v, lcn.invariants(net, w), guess=w)
    np.testing.assert_allclose(two, w, atol=1e-9)
    rate = env[r"\dot w"]
    return net, w, loss, env | {
        "a": w[0], "b": w[1], "v_": v, "d": det(col(w[0]), col(w[1])), "g": g, "G": hankel,
        r"\det": det, "q": lambda x: q_of(hankel, x),
        r"\dot d": det(rate[1], col(w[1])) + det(col(w[0]), rate[2]), "D": root,
        r"\dot \varphi": layers(det(col(x), rate[i]) / (x @ x) for i, x in enumerate(w, 1))}


def q_of(hankel, x):
    """q(w) = det(G w, w), as the chapter defines it."""
    return float(np.linalg.det(np.hstack([hankel @ x, x])))


@formula("09_bounce", r"d = \det(w_1, w_2) = a_0b_1 - a_1b_0")
def _():
    return pair()[3]


@formula("09_bounce", r"&v_1^2 - 4v_0v_2 \\")
def _():
    return pair()[3]


@formula("09_bounce", r"\dot d &= \det(\dot w_1, w_2)")
def _():
    return pair()[3]


@formula("09_bounce", r"\dot\varphi_i &= \frac{\det(w_i, \dot w_i)}{\norm{w_i}^2}", ", \\\\")
def _():
    net, w, loss, env = pair()
    t = 1e-6
    flow = lcn.gradient_flow(net, loss, w, [0, t, 2 * t], rtol=1e-12)
    angle = np.arctan2(flow.filters[1][:, 1], flow.filters[1][:, 0])
    slope = (4 * angle[1] - angle[2] - 3 * angle[0]) / (2 * t)
    return env | {"i": 2, r"\dot\varphi_i": slope}, 1e-5


@formula("09_bounce", r"\dot d = (1 - c^2)\, q(w_1)")
def _():
    """At w_2 = c w_1."""
    net, w, loss, env = pair()
    w, c = [w[0], 1.7 * w[0]], 1.7
    run = lcn.gradient_descent(net, loss, w, 1e-7, 1)
    d = np.linalg.det(np.stack([run.filters[0], run.filters[1]], axis=-1))
    g = loss.gradient(lcn.end_to_end(net, w))
    hankel = np.array([[g[0], g[1]], [g[1], g[2]]])
    return env | {r"\dot d": (d[1] - d[0]) / 1e-7, "c": c, "w": layers(map(col, w)),
                  "q": lambda x: q_of(hankel, x)}, 1e-5


# The metric in closed form

def warped():
    net, w, _, env = example()
    a, _, x, y = tangents(net, w)
    c = 1.3 * a
    dt, du = lcn.warped_velocity(net, w, c)
    return net, w, env | {
        r"\dd t": float(dt), r"\dd \Omega": layers(np.linalg.norm(d) for d in du),
        r"\dd u": layers(map(col, du)), r"g_\delta": lcn.inner(net, w, c, c),
        r"\dd w": layers(col(h) for h in lcn.horizontal_lift(net, w, c)),
        r"\xi": col(np.concatenate([1.3 * h for h in x])), r"\eta": col(np.concatenate(y)),
        "X": layers(map(col, x)), "Y": layers(map(col, y))}


@formula("11_closed_form", r"\inner{\xi}{\eta} = \dd\mu(\xi)\T K^{+}\, \dd\mu(\eta)")
def _():
    env = warped()[2]
    j = env[r"\dd \mu"]
    return env | {r"\eta": env[r"\eta"] + env[r"\xi"], r"\dd \mu": lambda x: j @ x}


@formula("11_closed_form", r"r_i^2 = t + \sigma_i")
def _():
    return warped()[2] | {"i": 2}


@formula("11_closed_form", r"S = \sum_{j=1}^H \frac{1}{r_j^2}")
def _():
    net, w, env = warped()
    radial = lcn.coordinate_curvatures(net, w).spheres[0, 1]
    r = env["r"]
    return env | {"S": -1 / (radial * r[1] ** 2 * r[2] ** 2)}


@formula("11_closed_form", r"g_\delta = {} & \frac14 \sum_{i=1}^H \frac{\dd t^2}{t + \sigma_i}")
def _():
    return warped()[2]


@formula("11_closed_form", r"\dd w_i = \frac{\dd t}{2 r_i}\, u_i + r_i\, \dd u_i")
def _():
    return warped()[2] | {"i": 2}


def motion():
    net, w, loss, env = example()
    rate = lcn.riemannian_gradient(net, w, loss)
    dt, du = lcn.warped_velocity(net, w, -rate)
    n = env["T"][2].shape[1]
    return env | {r"\dot t": float(dt), r"\dot u": layers(map(col, du)), "i": 2,
                  "P": {2: np.eye(n) - env["u"][2] @ env["u"][2].T}}


@formula("11_closed_form", r"\dot t &= -2\,\inner{v}{\nabla\ell(v)}", ", \\\\")
def _():
    return motion()


@formula("11_closed_form", r"\dot u_i &= -\frac{1}{r_i}\,P_i\,T_i\T\nabla\ell(v)")
def _():
    return motion()


@formula("11_closed_form", r"P_i = I - u_iu_i\T")
def _():
    net, w, env = warped()
    n = w[1].size
    x = np.random.default_rng(0).standard_normal(n)
    # du_i of a direction in layer i alone is its part across u_i, divided by r_i.
    a = lcn.jvp(net, w, [x if i == 1 else 0 * y for i, y in enumerate(w)])
    project = np.stack([lcn.warped_velocity(net, w, lcn.jvp(
        net, w, [e if i == 1 else 0 * y for i, y in enumerate(w)]))[1][1] for e in np.eye(n)], -1)
    assert a.shape == env["v"][:, 0].shape
    return env | {"P": {2: project * env["r"][2]}, "i": 2, "I": np.eye(n)}


@formula("11_closed_form", r"g_0 = \dd r^2 + \frac{r^2}{H}\sum_{i=1}^H \dd\Omega_i^2")
def _():
    net, w, _, env = example()
    w = lcn.rescale(net, w, [0, 0])
    a = tangents(net, w)[0]
    dt, du = lcn.warped_velocity(net, w, a)
    r = lcn.distance_to_zero(net, w)
    return env | {"g_0": lcn.inner(net, w, a, a), "r": r, r"\dd r": 3 * float(dt) / (2 * r),
                  r"\dd \Omega": layers(np.linalg.norm(d) for d in du)}


@formula("11_closed_form", r"r = \frac12\int_{-\min\sigma}^{t}\sqrt{S(\tau)}\;\dd\tau")
def _():
    net, w, env = warped()
    sigma = np.array(list(env[r"\sigma"].values()))
    return env | {"r": lcn.distance_to_zero(net, w), r"\min": min, r"\sigma": sigma,
                  "S": lambda tau: (1 / (tau + sigma)).sum()}, 1e-7


@formula("11_closed_form", r"r &= \sqrt{H}\,\norm{w_1} \\")
def _():
    net, w, _, env = example()
    w = lcn.rescale(net, w, [0, 0])
    product = lcn.end_to_end(net, [x / np.linalg.norm(x) for x in w])
    return env | {"r": lcn.distance_to_zero(net, w), "w": {1: w[0]},
                  "v": lcn.end_to_end(net, w), r"\mu": lambda u: product}


def planes():
    net, w, env = warped()
    table = lcn.coordinate_curvatures(net, w)
    return table, env | {"i": 1, "j": 2}


@formula("11_closed_form", r"\dfrac{1}{r_i^2}\Big(1 - \dfrac{1}{r_i^2S}\Big)")
def _():
    table, env = planes()
    return env | {"value": table.spheres[0, 0]}


@formula("11_closed_form", r"-\dfrac{1}{r_i^2r_j^2S}")
def _():
    table, env = planes()
    return env | {"value": table.spheres[0, 1]}


@formula("11_closed_form", r"\dfrac{S - r_i^2\sum_j r_j^{-4}}{r_i^4S^2}")
def _():
    table, env = planes()
    return env | {"value": table.radial[0]}


@formula("11_closed_form", r"\dfrac{H-1}{r^2}")
def _():
    net, w, _, env = example()
    w = lcn.rescale(net, w, [0, 0])
    return env | {"r": lcn.distance_to_zero(net, w),
                  "value": lcn.coordinate_curvatures(net, w).spheres[0, 0]}


@formula("11_closed_form", r"\kappa(a,b) &= S\,(C - V)", ", \\\\")
def _():
    net, w, env = warped()
    a, b, x, y = tangents(net, w)
    p = np.array([r**-2 for r in env["r"].values()]) / env["S"]
    xx, yy, xy = (np.array([f @ g for f, g in zip(*two)]) for two in ((x, x), (y, y), (x, y)))
    return env | {r"\kappa(a,b)": lcn.sectional_curvature(net, w, a, b),
                  "C": p @ (xx * yy) - (p @ xx) * (p @ yy), "V": p @ xy**2 - (p @ xy) ** 2}


@formula("11_closed_form", r"r(s)^2 = r(0)^2 + 2\,r(0)\,\dot r(0)\, s + s^2")
def _():
    net, w, _, env = example()
    w = lcn.rescale(net, w, [0, 0])
    a = tangents(net, w)[0]
    dt, _ = lcn.warped_velocity(net, w, a)

    def r(s):
        return lcn.distance_to_zero(net, [x for x in lcn.geodesic_filters(net, w, a, s)])

    return env | {"r": r, "s": 0.4,
                  r"\dot r": lambda s: (3 * float(dt) / 2 + s) / r(s)}


# Singular and critical points

@formula("12_singular_critical", r"\sum_{i=0}^{n}(-1)^i\,(2^{n+1-i}-1)\,\deg c_i(X)")
def _():
    sizes, n = (3, 2), 3
    degree = {}
    for i in range(n + 1):
        terms = [(a, i - a) for a in range(3) if 0 <= i - a <= 1]
        degree[i] = sum(comb(3, a) * comb(2, b) * factorial(n - i) // (
            factorial(2 - a) * factorial(1 - b)) for a, b in terms)
    assert sizes == (3, 2)
    return {"n": n, "c": {i: lambda x, d=d: d for i, d in degree.items()}, r"\deg": 1, "X": 0,
            "value": lcn.ed_degree(LCN((3, 2), 2))}


# Where it ends

@formula("13_where_it_ends", r"\sqrt{\delta^2+4c^2}")
def _():
    """k = (1, 1): the largest eigenvalue of the second derivative is that of K."""
    w = lcn.rescale(LCN((1, 1)), [[1.3], [1.0]], [0.8])
    return {r"\delta": 0.8, "c": 1.3, "value": float(lcn.ntk(LCN((1, 1)), w)[0, 0])}


# Shallow ReLU networks

def neurons():
    a, b = relu.random_neurons(3, 2, 0)
    x, y = 0.05 * b[0] + 0.03 * b[2], 0.08 * b[0]
    return {"a": layers(a), "b": layers(map(col, b)), "m": 3, "x": col(x), "x'": col(y),
            "f(x)": relu.function((a, b), [x])[0], "K(x,x')": relu.ntk((a, b), [x], [y])[0, 0],
            r"\delta": layers(relu.invariants((a, b))), "j": 2, "ranges": {"j": (1, 2, 3)}}


@formula("15_shallow_relu", r"f(x) = \sum_{j=1}^{m} a_j\,(\inner{b_j}{x})_+", r" , \qquad")
def _():
    return neurons()


@formula("15_shallow_relu", r"K(x,x') = \sum_j\;")
def _():
    return neurons()


@formula("15_shallow_relu", r"\delta_j = a_j^2 - \norm{b_j}^2")
def _():
    return neurons()


# What can be expressed

@formula("16_real_data", r"u\T A\,u = \frac1N \norm{\alpha_u x}^2")
def _():
    rng = np.random.default_rng(0)
    u, x = rng.standard_normal(4), rng.standard_normal(40)
    y = lcn.apply(LCN((4,)), [u], x)
    loss = QuadraticLoss.from_data(LCN((4,)), x, y)
    return {"u": col(u), "A": loss.weight / len(y), "N": len(y), r"\alpha_u": 1.0, "x": y}


# The appendix on the metric of the plane

@formula("appendix_metrics", r"g_\delta = \frac{\dd\rho^2}{R} + \norm{w}^2\,\dd\varphi^2", " , ")
def _():
    return plane()[3]


@formula("appendix_metrics", r"\norm{w}^2 = \frac{R - \delta}{2}")
def _():
    return plane()[3]


@formula("appendix_metrics", r"\kappa_\delta(v) = \frac{\delta}{\delta^2 + 4\norm{v}^2}")
def _():
    net, w, a, env = plane()
    return env | {r"\kappa_\delta(v)": lcn.sectional_curvature(net, w, a, [1.0, 1.0])}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of formulas that have been made wrong
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize(("page", "start", "end", "function"), TABLE)
def test_formula(page, start, end, function):
    """It holds, and with a sign, a digit or a factor changed it does not."""
    text = find(page, start, end)
    got = function()
    env, rtol = got if isinstance(got, tuple) else (got, 1e-9)
    if "value" in env:
        text = "value =" + text
    assert tex.holds(text, env, rtol), "the TeX and lcnlib disagree"
    for changed in tex.changes(text):
        try:
            good = tex.holds(changed, env, rtol)
        except (SyntaxError, KeyError, ValueError, TypeError, IndexError, ZeroDivisionError,
                np.linalg.LinAlgError, AssertionError, AttributeError):
            good = False  # it cannot even be evaluated
        assert not good, f"a change that this test does not see: {changed}"
