"""The competitors: each computes the same as lcnlib, as a user of that library would write it.

All work in float64 with one FFT product for the whole network (padded to a fast length), jit where
there is one, and take arguments that lie in their own kind of array already.
"""

from math import prod

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import scipy
import torch
from autograd import grad as autograd_grad
from autograd import numpy as anp

jax.config.update("jax_enable_x64", True)


def _grid(net):
    return tuple(scipy.fft.next_fast_len(n, real=True) for n in net.end_to_end_shape)


def _places(net):
    """Where each layer's filter goes on the grid: slices, one for each axis."""
    return [
        tuple(slice(0, (n - 1) * d + 1, d) for n, d in zip(k, s))
        for k, s in zip(net.filter_shapes, net.cumulative_strides)
    ]


def _crop(net):
    return tuple(slice(0, n) for n in net.end_to_end_shape)


def _split(net, flat):
    ends = np.cumsum([0, *(prod(k) for k in net.filter_shapes)])
    return [flat[a:b].reshape(k) for a, b, k in zip(ends, ends[1:], net.filter_shapes)]


def flatten(filters):
    return np.concatenate([w.reshape(-1) for w in filters])


def jax_product(net):
    """flat filters (P,) -> v (|k|,) in JAX."""
    grid, axes = _grid(net), tuple(range(net.ndim))

    def product(flat):
        total = 1.0
        for w, place in zip(_split(net, flat), _places(net)):
            stuffed = jnp.zeros(net.end_to_end_shape).at[place].set(w)
            total = total * jnp.fft.rfftn(stuffed, grid, axes=axes)
        return jnp.fft.irfftn(total, grid, axes=axes)[_crop(net)].reshape(-1)

    return product


def jax_product_by_shifts(net):
    """The same by shifted sums, one for each entry of a filter: for tiny filters."""

    def product(flat):
        total = jnp.ones((1,) * net.ndim)
        for w, s in zip(_split(net, flat), net.cumulative_strides):
            spread = [(n - 1) * d for n, d in zip(w.shape, s)]
            parts = [
                w[j] * jnp.pad(total, [(i * d, m - i * d) for i, d, m in zip(j, s, spread)])
                for j in np.ndindex(*w.shape)
            ]
            total = sum(parts)
        return total.reshape(-1)

    return product


def torch_product(net):
    grid, dims = _grid(net), tuple(range(net.ndim))
    size = prod(net.end_to_end_shape)
    entries = np.arange(size).reshape(net.end_to_end_shape)
    indices = [torch.asarray(entries[place].reshape(-1)) for place in _places(net)]
    sizes = [len(index) for index in indices]

    def product(flat):
        total = 1.0
        for w, index in zip(flat.split(sizes), indices):
            stuffed = torch.zeros(size, dtype=torch.float64).scatter(0, index, w)
            stuffed = stuffed.reshape(net.end_to_end_shape)
            total = total * torch.fft.rfftn(stuffed, grid, dim=dims)
        return torch.fft.irfftn(total, grid, dim=dims)[_crop(net)].reshape(-1)

    return product


def wait(function):
    """The jit-compiled function, waiting for its result."""
    compiled = jax.jit(function)
    return lambda *args: jax.block_until_ready(compiled(*args))


def jax_jacobian(net, flat, product=jax_product, mode=jax.jacfwd):
    x, run = jnp.asarray(flat), wait(mode(product(net)))
    return lambda: run(x)


def jax_ntk(net, flat, product=jax_product, mode=jax.jacfwd):
    jacobian = mode(product(net))

    def ntk(x):
        j = jacobian(x)
        return j @ j.T

    x, run = jnp.asarray(flat), wait(ntk)
    return lambda: run(x)


def torch_ntk(net, flat, mode=None):
    x = torch.asarray(flat)
    jacobian = (mode or torch.func.jacrev)(torch_product(net))

    def run():
        j = jacobian(x)
        return j @ j.T

    return run


def torch_jacobian(net, flat, mode=None):
    x, jacobian = torch.asarray(flat), (mode or torch.func.jacfwd)(torch_product(net))
    return lambda: jacobian(x)


def jax_ntk_apply(net, flat, g):
    product = jax_product(net)

    def apply(x, g):
        pulled = jax.vjp(product, x)[1](g)[0]
        return jax.jvp(product, (x,), (pulled,))[1]

    x, g, run = jnp.asarray(flat), jnp.asarray(g), wait(apply)
    return lambda: run(x, g)


def torch_ntk_apply(net, flat, g):
    product, x, g = torch_product(net), torch.asarray(flat), torch.asarray(g)

    def run():
        pulled = torch.func.vjp(product, x)[1](g)[0]
        return torch.func.jvp(product, (x,), (pulled,))[1]

    return run


def diffrax_flow(net, target, flat, t1, rtol, atol, product=jax_product):
    """Dopri8 with step control for each flow of a batch; v at t1. `flat` is (P,) or (B, P)."""
    product, goal = product(net), jnp.asarray(target.reshape(-1))

    def loss(x):
        r = product(x) - goal
        return 0.5 * (r @ r)

    slope = jax.grad(loss)
    term = diffrax.ODETerm(lambda t, y, args: -slope(y))

    def solve(x):
        solution = diffrax.diffeqsolve(
            term, diffrax.Dopri8(), 0.0, t1, None, x, saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol), max_steps=100_000,
        )
        return product(solution.ys[0])

    x, run = jnp.asarray(flat), wait(jax.vmap(solve) if flat.ndim == 2 else solve)
    return lambda: run(x)


def autograd_flow(net, target, flat, t1, rtol, atol):
    """SciPy's DOP853 with a right-hand side by autograd; v at t1."""
    matrices, shape = [], net.end_to_end_shape
    n = prod(shape)
    for k, place in zip(net.filter_shapes, _places(net)):
        index = np.arange(n).reshape(shape)[place].reshape(-1)
        stuffed = np.zeros((prod(k), n))
        stuffed[np.arange(prod(k)), index] = 1.0
        grid = _grid(net)
        spectrum = np.fft.fftn(stuffed.reshape(-1, *shape), grid, axes=range(1, net.ndim + 1))
        matrices.append(spectrum.reshape(prod(k), -1))
    goal, lead = target.reshape(-1), flat.shape[:-1]
    ends = np.cumsum([0, *(len(m) for m in matrices)])

    def product(x):
        total = 1.0
        for m, a, b in zip(matrices, ends, ends[1:]):
            total = total * anp.dot(x[..., a:b], m)
        values = anp.reshape(total, (*lead, *grid))
        full = anp.real(anp.fft.ifftn(values, axes=tuple(range(-net.ndim, 0))))
        return anp.reshape(full[(..., *_crop(net))], (*lead, n))

    def loss(x):
        r = product(x) - goal
        return 0.5 * anp.sum(r * r)

    slope = autograd_grad(loss)

    def run():
        sol = scipy.integrate.solve_ivp(
            lambda t, y: -slope(y.reshape(flat.shape)).reshape(-1), (0, t1), flat.reshape(-1),
            method="DOP853", rtol=rtol, atol=atol,
        )
        return product(sol.y[:, -1].reshape(flat.shape))

    return run
