"""One table of properties over every public name; a name without a row fails.

For each function: a batch of two different problems is the two single calls; scaled input gives
scaled output; integers, single precision, lists, views and read-only arrays give the same answer;
a flow does not care when it starts; bad input is refused by an error of this library.
"""

import inspect
import re
from functools import cached_property

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss
from lcnlib import fully_connected as fc
from lcnlib import shallow_relu as relu

NETS = [LCN((3, 2), 2), LCN((2, 3, 2), (2, 3, 1)), LCN([(2, 2), (2, 3)], [(2, 1), 1])]
SMALL, LEAST = NETS[:1], [LCN((2, 2), 2)]
THIRD = round(2**14 / 3) / 2**14  # with small whole numbers, exact in single precision


def integers(rng, shape):
    """Small integers, none of them zero."""
    return rng.integers(1, 7, shape) * rng.choice([-1.0, 1.0], shape)


# What each argument is made of: small whole numbers, so that every type of array holds them.
# `made` are the arguments so far.
MAKE = {
    "filters": lambda net, rng, made: [integers(rng, k) for k in net.filter_shapes],
    "directions": lambda net, rng, made: [integers(rng, k) for k in net.filter_shapes],
    "guess": lambda net, rng, made: made["filters"],
    "covector": lambda net, rng, made: integers(rng, net.end_to_end_shape),
    "target": lambda net, rng, made: integers(rng, net.end_to_end_shape),
    "free": lambda net, rng, made: integers(rng, net.end_to_end_shape),
    "v": lambda net, rng, made: whole(lcn.end_to_end(net, made["filters"])),
    "x": lambda net, rng, made: integers(rng, [n + 5 for n in net.end_to_end_shape]),
    "invariants": lambda net, rng, made: integers(rng, net.depth - 1),
    "weight": lambda net, rng, made: np.diag(np.arange(1.0, np.prod(net.end_to_end_shape) + 1)),
    "t": lambda net, rng, made: np.array([0.0, 1.0, 3.0]) / 128,
    "soon": lambda net, rng, made: np.array([0.0, 1.0, 3.0]) / 2**12,
    "s": lambda net, rng, made: np.array([0.0, 1.0, -2.0]),
    "weights": lambda net, rng, made: [integers(rng, k) for k in ((2, 3), (3, 2), (2, 3))],
    "pair": lambda net, rng, made: [integers(rng, k) for k in ((2, 3), (4, 2))],
    "w": lambda net, rng, made: integers(rng, (3, 3)),
    "turns": lambda net, rng, made: np.array([[0.0, 1.0], [-1.0, 0.0]]),
    "matrix": lambda net, rng, made: integers(rng, (2, 3)),
    "a0": lambda net, rng, made: integers(rng, 3),
    "b0": lambda net, rng, made: integers(rng, (3, 2)),
    "points": lambda net, rng, made: integers(rng, (5, 2)) + [0.5, 0.25],
    "values": lambda net, rng, made: integers(rng, 5),
    "levels": lambda net, rng, made: integers(rng, 3),
    "height": lambda net, rng, made: 50.0,
    "rate": lambda net, rng, made: 2.0**-14,
    "theta": lambda net, rng, made: integers(rng, net.n_parameters),
}
for tangent in ("a", "b", "velocity"):
    MAKE[tangent] = lambda net, rng, made: whole(lcn.jvp(
        net, made["filters"], [integers(rng, k) for k in net.filter_shapes]))
# What all problems of a batch share.
SHARED = {"target", "weight", "matrix", "t", "soon", "s", "points", "values", "turns", "rate"}


def whole(a):
    assert np.abs(a - a.round()).max() < 1e-9
    return a.round() + 0.0


class Row:
    """How one name is called, and what is to hold.

    call : function of the arguments in MAKE, and of ``net``; its result is an array or a sequence
        of arrays and of lists of arrays.
    scale : "filters 1, target H -> 1, 2*H": arguments times c^1, c^H give results times c^1,
        c^2H; in place of a power: each (layer i times c_i), product (of all c_i), others (layer i
        times the c_j of the others), fibre (c_i with product one).  Several, or a reason.
    batch : True, "refused", or a reason.
    zero : the error for a zero filter; None when the answer is finite.
    """

    def __init__(self, call, *scale, batch=True, zero=None, nets=NETS, rtol=1e-9,
                 any_size=()):
        self.call, self.batch, self.zero, self.nets = call, batch, zero, nets
        self.scale = [s for s in scale if "->" in s]
        self.reason = None if self.scale else scale[0]
        self.names = [n for n, p in inspect.signature(call).parameters.items()
                      if n != "net" and p.default is p.empty]
        self.takes_net = "net" in inspect.signature(call).parameters
        self.rtol = rtol
        self.any_size = {"rate", "height", "x", "s", "t", "soon", "w", "weights", *any_size}

    def arguments(self, net, seed):
        rng, made = np.random.default_rng(seed), {}
        for name in ("filters", *self.names):
            if name not in made:
                made[name] = MAKE[name](net, rng, made)
        return {n: made[n] for n in self.names}

    def depth(self, net):
        return 3 if "weights" in self.names else net.depth

    def __call__(self, net, arguments):
        return groups(self.call(net, **arguments) if self.takes_net else self.call(**arguments))


def groups(result):
    """A result as a list of arrays and of lists of arrays."""
    if isinstance(result, (lcn.FlowResult, fc.MatrixFlow, relu.ReluFlow)):
        names = "filters", "weights", "a", "b", "end_to_end", "output", "loss", "invariants"
        result = [getattr(result, n) for n in names if hasattr(result, n)]
    elif isinstance(result, lcn.Projection):
        result = [result.end_to_end, result.filters, result.distance, result.certified]
    elif not isinstance(result, tuple):
        result = [result]
    return [[np.asarray(x) for x in g] if isinstance(g, list) else np.asarray(g) for g in result]


def flat(result):
    return [x for g in result for x in (g if isinstance(g, list) else [g])]


def same(got, want, rtol):
    for g, w in zip(flat(got), flat(want), strict=True):
        assert g.shape == w.shape
        size = np.abs(w).max(initial=0)
        np.testing.assert_allclose(g, w, rtol=0, atol=rtol * size)


def times(factor, value):
    """Each array times its factor; one factor for all, or one for each of a list."""
    if isinstance(value, (list, tuple)):
        factor = factor if isinstance(factor, list) else [factor] * len(value)
        return [f * np.asarray(x) for f, x in zip(factor, value)]
    return factor * np.asarray(value)


def factor(power, c):
    """What `power` of the scale string says for the scales c of the layers."""
    named = {"each": list(c), "product": np.prod(c), "fibre": list(c / np.exp(np.log(c).mean())),
             "others": [np.prod(np.delete(c, i)) for i in range(len(c))]}
    return named[power] if power in named else float(c[0]) ** eval(power, {"H": len(c)})


def parsed(rule):
    left, right = rule.split("->")
    return dict(x.split() for x in left.split(",")), [x.strip() for x in right.split(",")]


def scales(rule, depth):
    uniform = not re.search("each|product|others|fibre", rule)
    yield from ([1e8] * depth, [1e-8] * depth)
    if not uniform and depth > 1:
        yield from ([1e8] + [1e-8] * (depth - 1), [1e-8] * (depth - 1) + [1e3])


ZERO, REFUSED = lcn.ZeroFilterError, "refused"
SAYS = "it computes nothing from arrays"
DATA = "a record or its attribute: what fills it has a row"
FIELDS = {name: DATA for name in ("FlowResult", "Projection", "WarpedPoint", "CriticalPoints",
                                  "CoordinateCurvatures", "EnsembleResult", "Failure", "Seeds",
                                  "ConservationLaws", "fully_connected.MatrixFlow",
                                  "shallow_relu.ReluFlow")}


def flow_of(net, filters, target, t):
    return lcn.gradient_flow(net, QuadraticLoss(target), filters, t)


def on_the_sheet(net, filters, other):
    return lcn.rescale(net, other, lcn.invariants(net, filters))


def plain_loss(target):
    inner = QuadraticLoss(target)
    return lcn.Loss(inner.value, inner.gradient)


def critical(net, target, weight):
    found = lcn.critical_points(net, QuadraticLoss(target, weight))
    order = np.lexsort(np.round([found.loss.imag, found.loss.real], 6 - int(np.log10(
        np.abs(found.loss).max()))))
    return found.end_to_end[order], found.loss[order], found.index[order] * 1.0


ROWS = {
    # Filters are polynomials
    "random_filters": "random numbers from a seed; tests/test_network.py",
    "apply": Row(lcn.apply, "filters each -> product", "x 1 -> 1"),
    "end_to_end": Row(lcn.end_to_end, "filters each -> product"),
    "cofactors": Row(lcn.cofactors, "filters each -> others"),
    # Gradient flow and what it conserves
    "QuadraticLoss.from_data": Row(
        lambda net, filters, x: (d := QuadraticLoss.from_data(net, x, lcn.apply(net, filters, x)))
        and (d.target, d.weight), "x 1 -> 0, 2", "filters each -> product, 0",
        batch="all signals make one loss", rtol=1e-8),
    "QuadraticLoss.value": Row(
        lambda target, weight, free: QuadraticLoss(target, weight).value(free),
        "target 1, free 1 -> 2", "weight 1 -> 1"),
    "QuadraticLoss.gradient": Row(
        lambda target, weight, free: QuadraticLoss(target, weight).gradient(free),
        "target 1, free 1 -> 1", "weight 1 -> 1"),
    "gradient_flow": Row(flow_of, "filters 1, target H, t 2-2*H -> 1, H, 2*H, 2", rtol=1e-7),
    "gradient_flow/loss": Row(
        lambda net, filters, target, t: lcn.gradient_flow(net, plain_loss(target), filters, t),
        "filters 1, target H, t 2-2*H -> 1, H, 2*H, 2", rtol=1e-7),
    "invariants": Row(lcn.invariants, "filters 1 -> 2"),
    "rescale": Row(lcn.rescale, "filters 1, invariants 2 -> 1", "filters fibre -> 0", zero=ZERO),
    "scalings": Row(lcn.scalings, "filters 1, invariants 2 -> 0", zero=ZERO),
    # From parameters to functions: the kernel
    "jacobian": Row(lcn.jacobian, "filters 1 -> H-1"),
    "jvp": Row(lcn.jvp, "filters each, directions each -> product", "directions 1 -> 1"),
    "vjp": Row(lcn.vjp, "filters each -> others", "covector 1 -> 1"),
    "ntk": Row(lcn.ntk, "filters 1 -> 2*H-2"),
    "ntk_apply": Row(lcn.ntk_apply, "filters 1 -> 2*H-2", "covector 1 -> 1"),
    "rank": Row(lcn.rank, "filters each -> 0"),
    # One function, one kernel
    "polyphase": Row(lambda v: lcn.polyphase(v, 2), "v 1 -> 1",
                     batch="every axis of v is a variable", any_size="v"),
    "factorizations": Row(lambda net, v: [w for f in lcn.factorizations(net, v) for w in f],
                          "v 1 -> 0", batch=REFUSED),
    "lift": Row(lcn.lift, "v H, invariants 2 -> 1", batch=REFUSED),
    "lift/guess": Row(lambda net, v, invariants, guess: lcn.lift(net, v, invariants, guess),
                      "v H, invariants 2 -> 1", "guess each -> 0", batch=REFUSED, zero=ZERO),
    "project": Row(lambda net, free: lcn.project(net, free), "free 1 -> 1, 1/H, 1, 0",
                   nets=LEAST, rtol=1e-6),
    # The Riemannian gradient flow
    "function_space_flow": Row(
        lambda net, target, v, invariants, soon: lcn.function_space_flow(
            net, QuadraticLoss(target), v, invariants, soon),
        "v H, invariants 2, target H, soon 2-2*H -> 1, H, 2*H, 2", rtol=1e-7),
    "inner": Row(lcn.inner, "filters 1, a H, b H -> 2", "a 1 -> 1", "b 1 -> 1", zero=ZERO),
    "riemannian_gradient": Row(
        lambda net, filters, target: lcn.riemannian_gradient(net, filters, QuadraticLoss(target)),
        "filters 1, target H -> 3*H-2", zero=ZERO),
    "tangent_basis": Row(
        lambda net, filters: np.einsum("...ni,...nj->...ij", *[lcn.tangent_basis(
            net, filters).reshape(*np.shape(filters[0])[:-net.ndim], net.dimension, -1)] * 2),
        "filters each -> 0", zero=ZERO),
    "horizontal_lift": Row(lcn.horizontal_lift, "filters 1, a H -> 1", "a 1 -> 1", zero=ZERO),
    # Stride one; two dimensions
    "kernel_count": Row(lcn.kernel_count, "v H -> 0", batch=REFUSED),
    "kernel_count/invariants": Row(lambda net, v, invariants: lcn.kernel_count(net, v, invariants),
                                   "v H, invariants 2 -> 0", batch=REFUSED),
    "generic_kernel_count": Row(lambda net, invariants: lcn.generic_kernel_count(net, invariants),
                                "invariants 2 -> 0", batch=REFUSED),
    "root_groups": SAYS,
    # The metric in closed form
    "warped_coordinates": Row(lcn.warped_coordinates, "filters 1 -> 2, 0, 2", zero=ZERO),
    "from_warped_coordinates": Row(
        lambda net, height, filters, invariants: lcn.from_warped_coordinates(
            net, height, lcn.warped_coordinates(net, filters).directions, invariants),
        "filters each, invariants 2, height 2 -> 1", zero=ZERO),
    "warped_velocity": Row(lcn.warped_velocity, "filters 1, a H -> 2, 0", "a 1 -> 1, 1", zero=ZERO),
    "distance_to_zero": Row(lcn.distance_to_zero, "filters 1 -> 1", zero=ZERO),
    "coordinate_curvatures": Row(lcn.coordinate_curvatures, "filters 1 -> -2, -2", zero=ZERO),
    "sectional_curvature": Row(lcn.sectional_curvature, "filters 1, a H, b H -> -2", "a 1 -> 0",
                               "b 1 -> 0", zero=ZERO, rtol=1e-7),
    "geodesic": Row(lcn.geodesic, "filters 1, velocity H -> H", "velocity 1, s -1 -> 0",
                    batch=REFUSED, zero=ZERO),
    "geodesic_filters": Row(lcn.geodesic_filters, "filters 1, velocity H -> 1",
                            "velocity 1, s -1 -> 0", batch=REFUSED, zero=ZERO),
    "distance": Row(
        lambda net, filters, directions: lcn.distance(net, filters, on_the_sheet(
            net, filters, directions)), "filters 1, directions 1 -> 1", zero=ZERO),
    "log_map": Row(
        lambda net, filters, directions: lcn.log_map(net, filters, on_the_sheet(
            net, filters, directions)), "filters 1, directions 1 -> H", zero=ZERO),
    "parallel_transport": Row(lcn.parallel_transport, "filters 1, velocity H, a H -> H",
                              "velocity 1, s -1 -> 0", "a 1 -> 1", batch=REFUSED, zero=ZERO),
    # Singular and critical points
    "critical_points": Row(critical, "target 1 -> 1, 2, 0", "weight 1 -> 0, 1, 0", nets=LEAST,
                           batch="one loss has one target", rtol=1e-6),
    "ed_degree": SAYS,
    # Where it ends, and how fast
    "gradient_descent": Row(
        lambda net, filters, target, rate: lcn.gradient_descent(
            net, QuadraticLoss(target), filters, rate, 4),
        "filters 1, target H, rate 2-2*H -> 1, H, 2*H, 2"),
    "ensemble": "any task over any starts; tests/test_ensemble.py",
    # Contrasts, conservation laws without theory, networks from elsewhere
    "fully_connected.end_to_end": Row(fc.end_to_end, "weights each -> product"),
    "fully_connected.invariants": Row(fc.invariants, "weights 1 -> 2"),
    "fully_connected.ntk": Row(fc.ntk, "weights 1 -> 2*H-2"),
    "fully_connected.balanced_ntk": Row(fc.balanced_ntk, "w 1 -> 1"),
    "fully_connected.relaxed_ntk": Row(lambda w: fc.relaxed_ntk(w, 0.0, 3), "w 1 -> 1"),
    "fully_connected.siblings": Row(lambda pair, turns: fc.siblings(pair, turns),
                                    "pair 1 -> 1", batch=REFUSED, zero=lcn.SingularPointError),
    "fully_connected.gradient_flow": Row(
        lambda weights, matrix, soon: fc.gradient_flow(weights, QuadraticLoss(matrix), soon),
        "weights 1, matrix H, soon 2-2*H -> 1, H, 2*H, 2", rtol=1e-6),
    "fully_connected.random_weights": "random numbers from a seed; tests/test_fully_connected.py",
    "shallow_relu.function": Row(lambda a0, b0, points: relu.function((a0, b0), points),
                                 "a0 1 -> 1", "b0 1 -> 1", "points 1 -> 1"),
    "shallow_relu.invariants": Row(lambda a0, b0: relu.invariants((a0, b0)), "a0 1, b0 1 -> 2"),
    "shallow_relu.ntk": Row(lambda a0, b0, points: relu.ntk((a0, b0), points),
                            "a0 1, b0 1 -> 2", "points 1 -> 2"),
    "shallow_relu.rescale": Row(lambda a0, b0, levels: relu.rescale((a0, b0), levels),
                                "a0 1, b0 1, levels 2 -> 1, 1", "a0 1, b0 -1 -> 0, 0"),
    "shallow_relu.recover": "takes a function; tests/test_shallow_relu.py scales it",
    "shallow_relu.random_neurons": "random numbers from a seed; tests/test_shallow_relu.py",
    "shallow_relu.gradient_flow": Row(
        lambda a0, b0, points, values, soon: relu.gradient_flow((a0, b0), points, values, soon),
        "a0 1, b0 1, values 2, soon -2 -> 1, 1, 2, 4, 2", batch=REFUSED, rtol=1e-6),
    "conserved_laws": SAYS,
    "ConservationLaws.values": Row(
        lambda net, theta: lcn.conserved_laws(net).values(theta), "theta 1 -> 2", nets=SMALL),
    "from_torch": "takes a module; tests/test_torch_bridge.py",
    # What carries no numbers of its own
    "LCN": SAYS, "QuadraticLoss": "its methods have rows", "Loss": "two given functions",
    "fully_connected": "its functions have rows", "shallow_relu": "its functions have rows",
    **FIELDS,
}
ROWS |= {name: SAYS for name in (
    "LCN.ndim", "LCN.depth", "LCN.cumulative_strides", "LCN.end_to_end_shape",
    "LCN.end_to_end_stride", "LCN.n_parameters", "LCN.dimension", "CriticalPoints.complete",
    "EnsembleResult.ok", "EnsembleResult.stack")}
ROWS |= {f"FlowResult.{name}": "the record on disk; tests/test_record.py"
         for name in ("save", "load", "to_xarray")}
ROWS |= {name: "an error" for name in lcn.__all__ if name.endswith("Error")}


def public():
    """Every public function, class and method: ``name``, ``module.name``, ``Class.name``."""
    things = {name: getattr(lcn, name) for name in lcn.__all__}
    for name, module in list(things.items()):
        if inspect.ismodule(module):
            things |= {f"{name}.{n}": getattr(module, n) for n in module.__all__}
    for name, value in things.items():
        yield name
        if inspect.isclass(value):
            for n, member in vars(value).items():
                if not n.startswith("_") and isinstance(
                        member, (property, cached_property, classmethod, staticmethod)) | callable(
                        member):
                    yield f"{name}.{n}"


def test_every_public_name_has_a_row():
    names = list(public())
    assert not [name for name in names if name not in ROWS]
    assert not [row for row in ROWS if row.split("/")[0] not in names]


COMPUTED = {name: row for name, row in ROWS.items() if isinstance(row, Row)}
every_row = pytest.mark.parametrize(("name", "net"), [
    pytest.param(name, net, id=f"{name}-{net.depth}x{net.ndim}")
    for name, row in COMPUTED.items() for net in (row.nets if row.takes_net else SMALL)])


def batched(one, two):
    return {n: one[n] if n in SHARED else
            [np.stack(p) for p in zip(one[n], two[n])] if isinstance(one[n], list) else
            np.stack([one[n], two[n]]) for n in one}


def scaled(arguments, rule, c):
    powers, _ = parsed(rule)
    return {n: times(factor(powers[n], c), x) if n in powers else x for n, x in arguments.items()}


@every_row
def test_a_batch_of_two_problems_is_two_single_calls(name, net):
    row = COMPUTED[name]
    one, two = row.arguments(net, 1), row.arguments(net, 2)
    two |= {n: one[n] for n in one if n in SHARED}
    if row.batch == REFUSED:
        with pytest.raises(lcn.InputError):
            row(net, batched(one, two))
    elif row.batch is True:
        # The second a million times as large, where both can share the rest.
        for rule in row.scale:
            if not SHARED & set(parsed(rule)[0]):
                two = scaled(two, rule, [1e6] * row.depth(net))
                break
        both, *single = flat(row(net, batched(one, two))), *(
            flat(row(net, x)) for x in (one, two))
        for got, *want in zip(both, *single, strict=True):
            want = np.stack(np.broadcast_arrays(*want))
            # A flow has its times first, the batch after them.
            got = np.moveaxis(got, 1, 0) if {"t", "soon", "rate"} & set(one) else got
            assert got.shape == want.shape
            for g, w in zip(got, want):
                same([g], [w], row.rtol)


@every_row
def test_scaled_input_gives_scaled_output(name, net):
    row = COMPUTED[name]
    arguments = row.arguments(net, 13)
    want = row(net, arguments)
    for rule in row.scale:
        _, powers = parsed(rule)
        assert len(powers) in (1, len(want)), "one power for each result"
        powers = powers * len(want) if len(powers) == 1 else powers
        for c in scales(rule, row.depth(net)):
            got = row(net, scaled(arguments, rule, c))
            same(got, [times(factor(p, c), g) for p, g in zip(powers, want)], row.rtol)


def each(change, value):
    if isinstance(value, float):
        return value
    return [change(x) for x in value] if isinstance(value, list) else change(value)


def strided(x):
    return np.stack([x, x + 1], axis=-1)[..., 0]


def frozen(x):
    x = np.array(x)
    x.flags.writeable = False
    return x


KINDS = {
    "lists": np.ndarray.tolist, "strided": strided, "read-only": frozen,
    "integers": lambda x: x.astype(int) if (x % 1 == 0).all() else x,
    "reversed": lambda x: x[..., ::-1].copy()[..., ::-1], "Fortran": np.asfortranarray,
    "big-endian": lambda x: x.astype(">f8"),
}


@every_row
def test_any_type_of_array_gives_the_same(name, net):
    row = COMPUTED[name]
    arguments = row.arguments(net, 4)
    want = row(net, arguments)
    assert all(x.dtype in (float, complex, int, bool) for x in flat(want))
    for change in list(KINDS.values())[: 2 if row.nets is LEAST else None]:  # LEAST are slow
        same(row(net, {n: each(change, x) for n, x in arguments.items()}), want, 1e-11)
    # Single precision holds these thirds; the answer has to be that of the same numbers in double.
    powers = parsed(row.scale[0])[0]
    thirds = {n: times(THIRD, x) if n in powers else x for n, x in arguments.items()}
    want = row(net, thirds)
    got = row(net, {n: each(np.float32, x) if n in powers else x for n, x in thirds.items()})
    assert all(x.dtype in (float, complex, int, bool) for x in flat(got))
    same(got, want, row.rtol)


@pytest.mark.parametrize("start", [-1 / 256, 123.0])
@pytest.mark.parametrize("name", [
    name for name, row in COMPUTED.items() if {"t", "soon"} & set(row.names)])
def test_a_flow_does_not_care_when_it_starts(name, start):
    row = COMPUTED[name]
    arguments = row.arguments(row.nets[0], 8)
    moved = {n: x + start if n in ("t", "soon") else x for n, x in arguments.items()}
    same(row(row.nets[0], moved), row(row.nets[0], arguments), row.rtol)


BAD = {"NaN": np.nan, "infinity": -np.inf, "complex": 1j, "text": "one"}


@every_row
def test_bad_input_is_refused(name, net):
    row = COMPUTED[name]
    arguments = row.arguments(net, 6)

    def refused(x, error=lcn.InputError, message="expected .* got"):
        with pytest.raises(error, match=re.compile(message, re.S)):
            row(net, x)

    for n, value in arguments.items():
        for bad in BAD.values():
            many = isinstance(value, list)
            x = np.array(value[-1] if many else value, object if isinstance(bad, str) else
                         np.result_type(bad, float))
            x[(-1,) * x.ndim] = bad
            refused(arguments | {n: [*value[:-1], x] if many else x[()]})
        if isinstance(value, list):
            if n != "guess":  # None is no guess
                refused(arguments | {n: None})
        if isinstance(value, list) and n != "weights":
            refused(arguments | {n: value[1:]})
        if n not in row.any_size:
            longer = [np.pad(x, 1) for x in value] if isinstance(value, list) else np.pad(value, 1)
            refused(arguments | {n: longer})
    if row.takes_net and row.call.__module__ != __name__:
        with pytest.raises(lcn.InputError, match="net: expected an LCN"):
            row.call("3, 2", **arguments)


@pytest.mark.parametrize("call", [
    lambda *a: lcn.random_filters(NETS[0], *a), lambda *a: fc.random_weights((3, 2, 1), *a),
    lambda *a: relu.random_neurons(3, 2, *a)], ids=["filters", "weights", "neurons"])
def test_random_numbers(call):
    """From a seed or a generator, in batches of any shape; anything else is refused."""
    same(groups(call(7)), groups(call(np.random.default_rng(7))), 0)
    for batch in ((), (2,), (0, 3)):
        assert all(x.shape[:len(batch)] == batch for x in call(7, batch))
    for seed in (-1, "seven", 0.5, None):
        with pytest.raises(lcn.InputError, match=r"seed: expected .* got"):
            call(seed)
    for batch in ((-1, 2), (-3,), "two", (1.5,), None):
        with pytest.raises(lcn.InputError, match=r"batch: expected .* got"):
            call(0, batch)


@every_row
def test_a_zero_filter_is_refused_or_does_no_harm(name, net):
    row = COMPUTED[name]
    for n, value in row.arguments(net, 7).items():
        if n in ("filters", "guess", "pair", "weights"):
            x = row.arguments(net, 7) | {n: [*value[:-1], 0 * value[-1]]}
            if row.zero is None:
                assert all(np.isfinite(y).all() for y in flat(row(net, x)))
            else:
                with pytest.raises(row.zero, match=r"expected .* got"):
                    row(net, x)


# What single changes of the library once got through

EASY = QuadraticLoss([1.0, 2, 3, 2, 1])


@pytest.mark.parametrize("loss", [EASY, lcn.Loss(EASY.value, EASY.gradient)], ids=["exact", "any"])
def test_progress_of_any_interval(loss, monkeypatch):
    """The fraction done, whatever the times; a clock that runs makes every step report."""
    clock = iter(range(10**6))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    seen = []
    for t in ([0.0, 4.0], [-1.0, 3.0], [7.0, 11.0], [0.0, 0.25]):
        seen.append([])
        lcn.gradient_flow(NETS[0], loss, [[2.0, 1, -1], [1.0, 1]], t, progress=seen[-1].append)
    assert len(seen[0]) > 3 and seen[0] == sorted(seen[0])
    assert 0 <= seen[0][0] < 0.5 and seen[0][-1] == 1
    for other in seen[1:3]:
        np.testing.assert_allclose(other, seen[0], rtol=0, atol=1e-6)
    assert seen[3] == sorted(seen[3]) and seen[3][-1] == 1


def test_evaluations_are_counted():
    count = []
    loss = lcn.Loss(EASY.value, lambda v: count.append(1) or EASY.gradient(v))
    flow = lcn.gradient_flow(NETS[0], loss, [[2.0, 1, -1], [1.0, 1]], [0, 1, 5], method="DOP853")
    assert 0 <= len(count) - flow.n_evaluations <= 2  # one to see what the loss returns


@pytest.mark.parametrize("method", [None, "LSODA"])
def test_a_zero_filter_beside_other_flows(method):
    one, two = [[2.0, 1, -1], [1.0, 1]], [[0.5, 1, 2], [0.0, 0]]
    t, pair = [0, 0.3, 1], [np.stack(p) for p in zip(one, two)]
    both = lcn.gradient_flow(NETS[0], EASY, pair, t, method=method)
    for i, start in enumerate((one, two)):
        alone = lcn.gradient_flow(NETS[0], EASY, start, t, method=method)
        for w, w0 in zip(both.filters, alone.filters):
            np.testing.assert_allclose(w[:, i], w0, rtol=0, atol=1e-7)
        assert np.abs(both.invariants[:, i] - both.invariants[0, i]).max() < 1e-7


def test_norms_far_apart_in_one_batch():
    w = MAKE["filters"](NETS[1], np.random.default_rng(0), {})
    scale = np.array([1e-80, 1.0, 1e70])
    table = lcn.coordinate_curvatures(NETS[1], [np.multiply.outer(scale, x) for x in w])
    alone = lcn.coordinate_curvatures(NETS[1], w)
    for got, want in zip(table, alone):
        for s, x in zip(scale, got):
            np.testing.assert_allclose(x * s * s, want, rtol=1e-12, atol=1e-18)


def test_long_filters_and_signals_with_more_axes():
    rng = np.random.default_rng(0)
    net, w, x = LCN((600,), 2), rng.standard_normal((3, 600)), rng.standard_normal((2, 3, 700))
    got = lcn.apply(net, [w], x)
    assert got.shape == (2, 3, 51)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(got[i, j], np.correlate(x[i, j], w[j])[::2], atol=1e-11)
    np.testing.assert_allclose(lcn.apply(net, [w[0]], x)[1, 2], np.correlate(x[1, 2], w[0])[::2],
                               atol=1e-11)
    np.testing.assert_allclose(lcn.apply(net, [w], x[0, 0])[1], np.correlate(x[0, 0], w[1])[::2],
                               atol=1e-11)


@pytest.mark.parametrize(("size", "guess"), [(1e-250, 1.0), (1.0, 1e160), (1e-250, 1e160)])
def test_lift_at_the_ends_of_the_range(size, guess):
    w = [np.array([2.0, 1, -1]), np.array([1.0, 1])]
    v = lcn.end_to_end(NETS[0], w) * size
    got = lcn.lift(NETS[0], v, [0.0], guess=[guess * x for x in w])
    np.testing.assert_allclose(lcn.end_to_end(NETS[0], got) / size, v / size, rtol=1e-12)
    for x, y in zip(got, w):
        np.testing.assert_allclose(x / np.linalg.norm(x), y / np.linalg.norm(y), rtol=1e-12)


def test_a_gradient_that_is_no_number():
    loss = lcn.Loss(EASY.value, lambda v: np.where(v[..., :1] < 1.9, np.nan, EASY.gradient(v)))
    with pytest.raises(lcn.FlowError, match="look at the gradient") as caught:
        lcn.gradient_flow(NETS[0], loss, [[2.0, 1, -1], [1.0, 1]], [0, 5])
    assert 0 < caught.value.time < 1
    # In function space the steps shrink but never vanish: this, too, has to end.
    with pytest.raises(lcn.FlowError, match="look at the gradient") as other:
        lcn.function_space_flow(NETS[0], loss, [2.0, 1, 1, 1, -1], [-4.0], [0, 5])
    assert abs(other.value.time - caught.value.time) < 1e-6


def test_the_words_on_several_branches():
    v = lcn.end_to_end(LCN((3, 3)), [[1, -3, 2], [15, -2, -1]])
    with pytest.raises(lcn.AmbiguousFactorizationError, match=re.escape(
            "expected one kernel at these invariants, got 6 (6 factorisations); pass `guess`")):
        lcn.lift(LCN((3, 3)), v, [1.0])
    with pytest.raises(lcn.AmbiguousFactorizationError, match=re.escape("got 3 (6 fact")) as caught:
        lcn.lift(LCN((3, 3)), v, [0.0])
    assert len(caught.value.branches) == 3


@pytest.mark.parametrize("shapes", [(1,), (1, 1)])
def test_critical_points_of_numbers(shapes):
    found = lcn.critical_points(LCN(shapes, 2), QuadraticLoss([3.0], [[2.0]]))
    np.testing.assert_allclose(found.end_to_end, [[3.0]], atol=1e-10)
    assert found.complete and found.index.tolist() == [0] and lcn.ed_degree(LCN(shapes, 2)) == 1
