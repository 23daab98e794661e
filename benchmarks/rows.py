"""The rows of the benchmark: each the same work for lcnlib and its competitors, with the goals.

A row is a dictionary: `work`, `net`, `run` (a function for each contestant that makes the function
to be timed), `goals` (the least ratio for each family of peers; "first" for first calls).
"""

from functools import partial

import numpy as np
import peers
import scipy

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss
from lcnlib._core.fields import QuadraticFlow  # the one look inside: parts of a flow, alone

T, RTOL, ATOL = 10.0, 1e-9, 1e-12
REV = {"mode": peers.jax.jacrev}


def kernel_row(work, net, goals, tiny=False):
    filters = lcn.random_filters(net, 1)
    flat = peers.flatten(filters)
    run = {
        "lcnlib": lambda: partial(lcn.ntk, net, filters),
        "JAX jacfwd": lambda: peers.jax_ntk(net, flat),
        "JAX jacrev": lambda: peers.jax_ntk(net, flat, **REV),
        "torch jacrev": lambda: peers.torch_ntk(net, flat),
        "torch jacfwd": lambda: peers.torch_ntk(net, flat, mode=peers.torch.func.jacfwd),
    }
    if tiny:  # one shifted sum for each entry of a filter: JAX at its best
        run["JAX jacfwd, shifts"] = lambda: peers.jax_ntk(
            net, flat, product=peers.jax_product_by_shifts)
    if np.prod(net.end_to_end_shape) > 100:
        run["its product J Jᵀ alone"] = lambda: product_alone(net, filters)
        run["its memory alone"] = lambda: memory_alone(net)
    return {"work": f"dense K, {work}", "net": net, "goals": goals, "run": run}


def product_alone(net, filters):
    """What a kernel by one symmetric matrix product costs at least."""
    j = lcn.jacobian(net, filters)
    out = np.empty((len(j), len(j)))

    def run():
        np.matmul(j, j.T, out=out)

    return run


def memory_alone(net):
    """What it costs to fill as many numbers as a kernel has."""
    n = int(np.prod(net.end_to_end_shape))

    def run():
        np.full((n, n), 1.0)

    return run


def jacobian_row(work, net, goals):
    filters = lcn.random_filters(net, 1)
    flat = peers.flatten(filters)
    return {"work": f"Jacobian, {work}", "net": net, "goals": goals, "run": {
        "lcnlib": lambda: partial(lcn.jacobian, net, filters),
        "JAX jacfwd": lambda: peers.jax_jacobian(net, flat),
        "torch jacfwd": lambda: peers.torch_jacobian(net, flat),
    }}


def large_row(work, net, goals):
    filters = lcn.random_filters(net, 1)
    flat = peers.flatten(filters)
    n = net.end_to_end_shape[0]
    g = np.random.default_rng(2).standard_normal(n)

    def transforms():
        """Nothing but the real FFTs that K g needs: all layers and g, back, there and back."""
        size = scipy.fft.next_fast_len(n, real=True)
        a = np.random.default_rng(3).standard_normal((net.depth, n))
        half = scipy.fft.rfft(a, size)

        def run():
            for many in (net.depth, 1, net.depth):
                scipy.fft.rfft(a[:many], size, workers=2)
            for many in (net.depth, 1):
                scipy.fft.irfft(half[:many], size, workers=2)

        return run

    return {"work": f"K g, {work}", "net": net, "goals": goals, "floor": "its real FFTs", "run": {
        "lcnlib": lambda: partial(lcn.ntk_apply, net, filters, g),
        "JAX vjp, jvp": lambda: peers.jax_ntk_apply(net, flat, g),
        "torch vjp, jvp": lambda: peers.torch_ntk_apply(net, flat, g),
        "its real FFTs": transforms,
    }}


def calls_alone(method, net, loss, filters, then=lambda values: None):
    """Nothing but the calls of a method of QuadraticFlow that our flow makes, and what follows."""
    sizes, original = [], getattr(QuadraticFlow, method)

    def counting(self, theta):
        sizes.append(len(theta))
        return original(self, theta)

    setattr(QuadraticFlow, method, counting)
    try:
        lcn.gradient_flow(net, loss, filters, [0, T], rtol=RTOL, atol=ATOL)
    finally:
        setattr(QuadraticFlow, method, original)
    call = getattr(QuadraticFlow(net, loss.target, loss.weight), method)
    theta = np.random.default_rng(6).standard_normal((max(sizes), net.n_parameters))

    def run():
        for n in sizes:
            then(call(theta[:n]))

    return run


def flow_row(work, net, goals, batch=()):
    rng = np.random.default_rng(4)
    filters = lcn.random_filters(net, rng, batch)
    target = rng.standard_normal(net.end_to_end_shape)
    loss = QuadraticLoss(target)
    b = int(np.prod(batch))
    flat = np.concatenate([w.reshape(b, -1) for w in filters], axis=1).reshape(*batch, -1)

    def ours(rtol=RTOL, atol=ATOL):
        flow = lcn.gradient_flow(net, loss, filters, [0, T], rtol=rtol, atol=atol)
        return flow.end_to_end[-1].reshape(*batch, -1)

    args = net, target, flat, T, RTOL, ATOL
    run = {
        "lcnlib": lambda: ours,
        "diffrax Dopri8": lambda: peers.diffrax_flow(*args),
        "its slopes alone": lambda: calls_alone("velocity", net, loss, filters),
        "its Hessians alone": lambda: calls_alone(
            "hessian", net, loss, filters, np.linalg.eigh),
    }
    if max(map(np.prod, net.filter_shapes)) <= 9:
        run["diffrax Dopri8, shifts"] = lambda: peers.diffrax_flow(
            *args, product=peers.jax_product_by_shifts)
    if b == 1 and flat.size < 20:  # a minute and more for larger ones
        run["SciPy + autograd"] = lambda: peers.autograd_flow(*args)
    return {"work": f"flow, {work}", "net": net, "goals": goals, "batch": b, "run": run,
            "reference": lambda: ours(1e-12, 1e-15), "tolerance": 1e-6}


def rows():
    one, two, square = LCN((3, 3, 2), 2), LCN((17,) * 3, 2), LCN([(3, 3)] * 3)
    big = LCN([(5, 5)] * 3, 2)
    jax_and_torch = {"JAX": 1, "torch": 6}
    return [
        kernel_row("(3,3,2) strides 2", one, jax_and_torch, tiny=True),
        kernel_row("three 3×3", square, jax_and_torch, tiny=True),
        kernel_row("three of 17, strides 2", two, {"JAX": 3}),
        kernel_row("four of 65, strides 2", LCN((65,) * 4, 2), {"JAX": 6}),
        kernel_row("three 5×5, strides 2", big, {"JAX": 6}),
        jacobian_row("ten of 3, strides 2", LCN((3,) * 10, 2), {"JAX": 5}),
        large_row("three of 131073, strides 2", LCN((131073,) * 3, 2), {"JAX": 1.5}),
        flow_row("(3,3,2)", one, {"diffrax": 1, "diffrax first": 20}),
        flow_row("three 3×3", square, {"diffrax": 1, "diffrax first": 20}),
        flow_row("256 of (3,3,2)", one, {"diffrax": 5}, (256,)),
        flow_row("64 of three 3×3", square, {"diffrax": 6}, (64,)),
        flow_row("64 of three of 9", LCN((9,) * 3, 2), {"diffrax": 4}, (64,)),
        flow_row("three 5×5, strides 2", big, {"diffrax": 2}),
    ]
