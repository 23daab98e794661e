"""The arithmetic of pictures that a reader drags is lcnlib's: 500 random cases of everything."""

import gzip
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup

import lcnlib as lcn
from lcnlib import display
from lcnlib.display import drawn_images, modules
from lcnlib.display.drawn_critical import WEIGHT, basins_loss
from lcnlib.display.pictures import PICTURES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import vendor

ROOT = Path(__file__).resolve().parents[1]
CASES, RTOL = 500, 1e-10
SMALL = [((2, 1), 1), ((2, 2), 1), ((2, 2), 2), ((3, 2), 2), ((3, 2, 2), 2), ((2, 3, 2), (2, 1, 3))]
RUN = """
import { lcn, stage, main, painting, photograph } from %s;
let text = "";
for await (const piece of process.stdin) text += piece;
const out = JSON.parse(text).map(([name, shapes, strides, args]) => {
  const net = shapes && lcn.LCN(shapes, strides);
  if (name === "roles") return stage.ROLES;
  if (name === "painting") return painting.product(...args);
  if (name === "photograph") return [...photograph.photograph];
  if (name === "look") return stage.look(...args);
  if (name === "defaults")
    return Object.fromEntries(Object.entries(main.PICTURES).map(([k, p]) => [k, p.defaults]));
  if (name.startsWith("loss.")) {
    const loss = lcn.QuadraticLoss(...args[0]);
    return [loss.value(args[1]), ...loss.gradient(args[1])];
  }
  if (name === "fall") { // the minimum in which a flow ends
    const loss = lcn.QuadraticLoss(...args[0]);
    return lcn.fall(loss, args[1], lcn.valleys(lcn.critical_points(net, loss)));
  }
  if (/flow|descent|critical/.test(name)) args[0] = lcn.QuadraticLoss(...args[0]);
  return lcn[name](...(net ? [net] : []), ...args);
});
console.log(JSON.stringify(out));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Call functions of lcn.js: node([(name, net or None, arguments), ...])."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "module.mjs").write_text(modules.module(), encoding="utf-8")
    (folder / "run.mjs").write_text(RUN % json.dumps("./module.mjs"))

    def call(cases):
        asked = [(name, net and [k[0] for k in net.filter_shapes],
                  net and [s[0] for s in net.strides], args) for name, net, args in cases]
        done = subprocess.run([*vendor.command("node"), "run.mjs"], cwd=folder, text=True,
                              input=json.dumps(asked, default=np.ndarray.tolist),
                              capture_output=True, check=False)
        assert not done.returncode, done.stderr[-2000:]
        return json.loads(done.stdout)

    return call


def flat(value):
    """All numbers of a nested answer, in order."""
    if isinstance(value, dict):
        raise TypeError("choose a part of the record")
    if isinstance(value, (list, tuple)):
        return np.concatenate([flat(x) for x in value]) if len(value) else np.zeros(0)
    return np.ravel(np.asarray(value, dtype=float))


def agree(got, want, rtol=RTOL):
    """Largest difference, relative to the size of the answer, case by case."""
    worst = 0.0
    for g, w in zip(got, want, strict=True):
        g, w = flat(g), flat(w)
        assert g.shape == w.shape
        worst = max(worst, np.abs(g - w).max(initial=0) / max(np.abs(w).max(initial=0), 1e-300))
    print(f"largest relative difference {worst:.1e}")
    assert worst <= rtol


def random_cases(shapes=SMALL, n=CASES, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(n):
        net = lcn.LCN(*shapes[i % len(shapes)])
        yield net, lcn.random_filters(net, rng), rng


def compare(node, name, arguments, expected, **options):
    cases, want = [], []
    for net, w, rng in random_cases(**options):
        args = arguments(net, w, rng)
        cases.append((name, net, args))
        want.append(expected(net, *args))
    agree(node(cases), want)


@pytest.mark.parametrize("name", ["end_to_end", "cofactors", "jacobian", "ntk", "invariants"])
def test_what_needs_filters_only(node, name):
    compare(node, name, lambda net, w, rng: [w], getattr(lcn, name))


def covector(net, rng):
    return rng.standard_normal(net.end_to_end_shape)


def delta(net, rng):
    return rng.standard_normal(net.depth - 1) * 10.0 ** rng.integers(-1, 2)


def test_products_with_the_jacobian(node):
    compare(node, "vjp", lambda net, w, rng: [w, covector(net, rng)], lcn.vjp)
    compare(node, "jvp", lambda net, w, rng: [w, lcn.random_filters(net, rng)], lcn.jvp)


@pytest.mark.parametrize("name", ["rescale", "scalings"])
def test_scaling(node, name):
    compare(node, name, lambda net, w, rng: [w, delta(net, rng)], getattr(lcn, name))


def test_output_of_the_network(node):
    compare(node, "apply", lambda net, w, rng: [w, rng.standard_normal(40)], lcn.apply)


@pytest.mark.parametrize("shapes", [((2, 1), 1), ((2, 2), 2), ((3, 2), 2)])
def test_lift_where_there_is_one_kernel(node, shapes):
    compare(node, "lift", lambda net, w, rng: [lcn.end_to_end(net, w), delta(net, rng)],
            lcn.lift, shapes=[shapes])


def test_lift_to_the_branch_nearest_to_a_guess(node):
    def near(net, w, rng):
        guess = [x + 0.05 * np.linalg.norm(x) * rng.standard_normal(x.shape) for x in w]
        return [lcn.end_to_end(net, w), delta(net, rng), guess]

    compare(node, "lift", near, lcn.lift, shapes=[((2, 2), 1)])


def weight(net, rng):
    a = rng.standard_normal(2 * net.end_to_end_shape)
    return a @ a.T / len(a) + 0.3 * np.eye(len(a))


def test_loss(node):
    cases, want = [], []
    for net, _, rng in random_cases():
        args = [(covector(net, rng), weight(net, rng)), covector(net, rng)]
        cases.append(("loss.", net, args))
        loss = lcn.QuadraticLoss(*args[0])
        want.append([loss.value(args[1]), *loss.gradient(args[1])])
    agree(node(cases), want)


def test_flow(node):
    # Short and long times: where the flow comes to rest, other steps take over.
    cases, want, drift = [], [], 0
    for i, (net, w, rng) in enumerate(random_cases(SMALL[:4])):
        t = np.array([0, 0.3, 1.0, 3.0 if i % 20 else 300.0])
        loss = (covector(net, rng), weight(net, rng))
        cases.append(("gradient_flow", net, [loss, w, t, 1e-13]))
        want.append(lcn.gradient_flow(net, lcn.QuadraticLoss(*loss), w, t[:3], rtol=1e-12,
                                      atol=1e-14))
    got = node(cases)
    agree([[[w[:] for w in g["filters"][:3]], g["loss"][:2]] for g in got],
          [[[[x[m] for x in f.filters] for m in range(3)], f.loss[:2]] for f in want])
    for g in got:
        start, end = g["invariants"][0], g["invariants"][-1]
        drift = max(drift, np.abs(np.subtract(start, end)).max())
        assert g["loss"][3] <= g["loss"][2] * (1 + 1e-12)
    assert drift < 1e-9


def test_flow_for_a_drawing(node):
    # Only its last state ends a step; the others are interpolated, to a fraction of a pixel.
    t = np.linspace(0, 3, 61)
    cases, want = [], []
    for net, w, rng in random_cases(SMALL[:4], 60):
        loss = (covector(net, rng), weight(net, rng))
        cases.append(("gradient_flow", net, [loss, w, t, 1e-6, True]))
        want.append(lcn.gradient_flow(net, lcn.QuadraticLoss(*loss), w, t).end_to_end)
    got = [g["end_to_end"] for g in node(cases)]
    agree(got, want, rtol=3e-3)
    agree([g[-1] for g in got], [f[-1] for f in want], rtol=1e-4)


def test_gradient_descent_takes_these_steps(node):
    cases, want = [], []
    for net, w, rng in random_cases(SMALL[:4]):
        loss, step, path = (covector(net, rng), weight(net, rng)), 0.02, [w]
        for _ in range(20):
            v = lcn.end_to_end(net, path[-1])
            g = lcn.vjp(net, path[-1], lcn.QuadraticLoss(*loss).gradient(v))
            path.append([x - step * y for x, y in zip(path[-1], g)])
        cases.append(("gradient_descent", net, [loss, w, step, 20]))
        want.append(path)
    agree([g["filters"] for g in node(cases)], want)


def test_ellipses(node):
    net = lcn.LCN((2, 1))
    cases, want = [], []
    for _, w, rng in random_cases([((2, 1), 1)]):
        cases.append(("ellipse", None, [lcn.ntk(net, w), rng.standard_normal(2), 0.3]))
        want.append(cases[-1][2])
    for points, (kernel, centre, size) in zip(node(cases), want):
        a = np.subtract(points, centre)
        assert np.allclose(np.einsum("ni,ij,nj->n", a, np.linalg.inv(kernel), a), size**2,
                           rtol=1e-9)
        assert np.allclose(points[0], points[-1])
        assert abs(area(a) - np.pi * size**2 * np.sqrt(np.linalg.det(kernel))) < 0.01 * abs(area(a))


def area(a):
    x, y = a.T
    return abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


TWO = [((2, 1), 1), ((2, 2), 2), ((3, 2), 2)]


def tangent(net, w, rng):
    return lcn.jvp(net, w, lcn.random_filters(net, rng))


def test_metric(node):
    compare(node, "inner", lambda net, w, rng: [w, tangent(net, w, rng), tangent(net, w, rng)],
            lcn.inner, shapes=TWO)


def test_geodesics(node):
    s = np.linspace(0, 1, 4)
    cases, want = [], []
    for net, w, rng in random_cases(TWO, 2 * CASES):
        a = tangent(net, w, rng)
        try:  # some run into the zero filter
            want.append(lcn.geodesic(net, w, a, s))
        except lcn.FlowError:  # see above
            continue
        cases.append(("geodesic", net, [w, a, s, 1e-13]))
    assert len(cases) >= CASES
    agree(node(cases), want)


def test_nearest_point_of_the_function_space(node):
    # A point is critical for the distance when the difference is normal to M.
    cases = [("project", net, [rng.standard_normal(net.end_to_end_shape)])
             for net, _, rng in random_cases([((2, 2), 2), ((3, 2), 2)])]
    for (_, net, (v,)), got in zip(cases, node(cases)):
        slope = lcn.vjp(net, got["filters"], np.subtract(got["end_to_end"], v))
        assert max(np.abs(x).max() for x in slope) < 1e-5 * np.linalg.norm(v) ** 2
        assert np.allclose(lcn.end_to_end(net, got["filters"]), got["end_to_end"])


def test_roots_and_back(node):
    rng = np.random.default_rng(1)
    polynomials = [rng.standard_normal(rng.integers(2, 8)) for _ in range(CASES)]
    got = node([("roots", None, [p]) for p in polynomials])
    for p, z in zip(polynomials, got):
        z = np.array([complex(*x) for x in z])
        want = np.roots(p[::-1])
        assert len(z) == len(want)
        assert max(np.abs(z - x).min() for x in want) < 1e-7 * (1 + np.abs(want).max())
    back = node([("from_roots", None, [z]) for z in got])
    agree(back, [p / p[-1] for p in polynomials], rtol=1e-7)


def complexes(nested):
    return np.array(nested)[..., 0] + 1j * np.array(nested)[..., 1]


def test_critical_points(node):
    net = lcn.LCN((2, 2), 2)
    rng = np.random.default_rng(4)
    losses = [(rng.standard_normal(4), weight(net, rng)) for _ in range(6)]
    losses += [([1.0, 2, 3, 4], np.eye(4)), ([3.0, 1, 0, 2], np.eye(4))]  # two of six: see the book
    wanted = [lcn.critical_points(net, lcn.QuadraticLoss(*loss)) for loss in losses]
    for got, want in zip(node([("critical_points", net, [loss]) for loss in losses]), wanted):
        real = want.real.sum()
        assert [p["real"] for p in got] == want.real.tolist()
        assert [p["index"] for p in got] == want.index.tolist()
        heights, v = complexes([p["loss"] for p in got]), complexes([p["end_to_end"] for p in got])
        order = np.r_[:real, [real + np.abs(want.loss[real:] - x).argmin() for x in heights[real:]]]
        order = order.astype(int)
        assert sorted(order) == list(range(len(want)))
        assert np.allclose(heights, want.loss[order], rtol=1e-8, atol=1e-8)
        assert np.allclose(v, want.end_to_end[order], rtol=1e-8, atol=1e-8)


def test_basins(node):
    # Every flow ends in the valley that the page gives its start.
    net, rng = lcn.LCN((2, 2), 2), np.random.default_rng(5)
    for target in ([1.0, 1.0], [2.5, 1.9], [1.5, -1.5]):
        loss = basins_loss(target)
        w = lcn.random_filters(net, rng, batch=(100,))
        cases = [("fall", net, [(loss.target, WEIGHT), [x[i] for x in w]]) for i in range(100)]
        c = lcn.critical_points(net, loss)
        minima = c.end_to_end[c.real].real[c.index[c.real] == 0]
        flow = lcn.gradient_flow(net, loss, w, [0, 1000], rtol=1e-5, atol=1e-8)
        gaps = np.linalg.norm(flow.end_to_end[-1][:, None] - minima, axis=-1)
        assert len(minima) > 1 and gaps.min(axis=1).max() < 1e-3
        # Right on a ridge the page's lower precision may fall on the other side.
        assert (gaps.argmin(axis=1) != node(cases)).sum() <= 1


def test_painting(node):
    rng = np.random.default_rng(6)
    pairs = rng.standard_normal((20, 2, 3, 3))
    agree(node([("painting", None, [*pair]) for pair in pairs]),
          [lcn.end_to_end(drawn_images.NET, pair) for pair in pairs])
    assert np.allclose(node([("photograph", None, [])])[0], drawn_images.photograph().ravel())


def test_the_map_names_statements_of_the_book():
    text = "".join("".join(cell["source"]) for path in (ROOT / "book").glob("*.ipynb")
                   for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])
    named = set(re.findall("“([^”]+)”", (ROOT / "explorables/map.js").read_text("utf-8")))
    assert len(named) == 6
    assert {n for n in named if not re.search(r"\{prf:\w+\} " + n + "\n", text)} == set()


def test_counts_of_kernels(node):
    rng = np.random.default_rng(3)
    cases, want, groups = [], [], []
    for _ in range(CASES):
        d, depth = rng.integers(1, 3), rng.integers(2, 5)
        shapes = rng.integers(1, 4, (depth, d)).tolist()
        strides = rng.integers(1, 4, (depth, d)).tolist()
        net = lcn.LCN([tuple(k) for k in shapes], [tuple(s) for s in strides])
        for balanced in (False, True):
            cases.append(("generic_kernel_count", None, [shapes, strides, balanced]))
            want.append(lcn.generic_kernel_count(net, [0] * (depth - 1) if balanced else None))
        groups.append((("root_groups", None, [shapes, strides]), lcn.root_groups(net)))
    assert node(cases) == want
    assert node([g for g, _ in groups]) == [list(map(list, g)) for _, g in groups]


def test_eigenvectors(node):
    rng = np.random.default_rng(2)
    matrices = [a + a.T for a in (rng.standard_normal((n, n)) for n in rng.integers(2, 6, CASES))]
    got = node([("eigh", None, [a]) for a in matrices])
    agree([g["values"] for g in got], [np.linalg.eigvalsh(a) for a in matrices])
    agree([np.array(g["vectors"]).T @ np.diag(g["values"]) @ np.array(g["vectors"]) for g in got],
          matrices)


def test_the_joined_sources():
    assert "export default" in modules.module() and "import " not in modules.module()
    assert modules.script().startswith("(function ()") and "\nexport " not in modules.script()
    assert len(gzip.compress(modules.script().encode(), 6)) < 40_000


def test_pictures_and_colours_are_those_of_the_display_package(node):
    defaults, roles = node([("defaults", None, []), ("roles", None, [])])
    assert defaults == {name: p.defaults for name, p in PICTURES.items()}
    assert roles == {k: v for k, v in display.ROLES.items() if k != "v"}


@pytest.fixture
def static(monkeypatch):
    monkeypatch.setenv("LCN_BOOK_STATIC", "1")


@pytest.mark.parametrize("name", PICTURES)
def test_without_a_script_it_is_a_figure(static, name):
    with plt.rc_context():
        display.use_style()
        page = display.touch(name, caption="Try <this>.")
    soup = BeautifulSoup(page.html, "html.parser")
    host = soup.find(attrs={"data-picture": name})
    assert json.loads(host["data-state"]) == PICTURES[name].defaults
    assert len(host.svg["aria-label"]) > 80 and host.svg["role"] == "img"
    assert soup.figcaption.text == "Try <this>."
    assert not plt.get_fignums()


def test_two_on_a_page_have_two_names(static):
    a, b = (BeautifulSoup(display.touch("plane").html, "html.parser").div["id"] for _ in "ab")
    assert a != b


@pytest.mark.parametrize("name", PICTURES)
def test_in_a_notebook_python_has_what_was_dragged(monkeypatch, name):
    monkeypatch.delenv("LCN_BOOK_STATIC", raising=False)
    widget = display.touch(name, caption="What to try")
    assert widget.caption == "What to try"
    for key, value in PICTURES[name].defaults.items():
        assert getattr(widget, key) == value and widget.trait_metadata(key, "sync")
    assert widget._esm == modules.module() and widget.picture == name
    widget.close()


def test_state_from_the_call(monkeypatch):
    monkeypatch.delenv("LCN_BOOK_STATIC", raising=False)
    widget = display.touch("plane", start=np.array([1.0, 0.5]), delta=2)
    assert widget.start == [1.0, 0.5] and widget.delta == 2.0
    widget.set_state({"start": [0.5, 0.25]})  # what the browser sends
    assert lcn.lift(lcn.LCN((2, 1)), widget.start, [widget.delta])[0].shape == (2,)
    widget.close()


@pytest.mark.parametrize(("name", "state", "match"), [
    ("plain", {}, "name: expected one of"), ("plane", {"begin": [0, 1]}, "begin: expected one of"),
    ("plane", {"start": 1.0}, "start: expected something like"),
    ("plane", {"start": [1, 2, 3]}, "start: expected something like"),
    ("plane", {"rulers": 1}, "rulers: expected something like")])
def test_what_it_refuses(name, state, match):
    with pytest.raises(ValueError, match=match):
        display.touch(name, **state)


def test_without_anywidget_the_script_comes_along(monkeypatch):
    monkeypatch.delenv("LCN_BOOK_STATIC", raising=False)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert "<script>(function ()" in display.touch("plane").html


# What eyes without one kind of cones see, of linear light (Machado, Oliveira and Fernandes, 2009).
EYES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
    "all": np.eye(3),
}
GREY = np.array([0.2126, 0.7152, 0.0722])
LAYERS, SIGNS = ["layer 1", "layer 2"], ["δ < 0", "δ = 0", "δ > 0"]
THEMES = {"light": ("#1b1b1b", "#ffffff"), "dark": ("#ced6dd", "#14181e")}


def light(color):
    c = np.array([int(color[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b*, in which a distance of two or three is just seen side by side."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], GREY, [0.0193, 0.1192, 0.9505]])
    x = to_xyz @ np.clip(rgb, 0, 1)
    x = x / to_xyz.sum(axis=1)
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eyes", EYES)
def test_roles_that_meet_in_a_panel_are_told_apart_by_every_eye(eyes, theme):
    ink, paper = THEMES[theme]
    colors = {k: c for k, c in display.ROLES.items() if k != "v"} | {"ink": ink, "paper": paper}
    seen = {k: lab(np.array(EYES[eyes]) @ light(c)) for k, c in colors.items()}
    found = {}
    for own in (LAYERS, SIGNS):
        pairs = itertools.combinations([*own, "target", "metric", "ink", "paper"], 2)
        found |= {(a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in pairs}
    nearest = min(found, key=found.get)
    print(f"{theme}, {eyes}: nearest {nearest}, {found[nearest]:.1f}")
    assert found[nearest] > 8


def test_in_grey_print_lines_differ_by_dashes_and_everything_from_the_paper(node):
    # Grey alone cannot tell the roles apart: dashes, shapes and words do.
    styles = [display.look(d)["linestyle"] for d in (-1, 0, 1)]
    assert len(set(styles)) == 3
    dashes = node([("look", None, [d]) for d in (-1, 0, 1)])
    assert len({d["dash"] for d in dashes}) == 3
    for ink, paper in THEMES.values():
        for color in [c for k, c in display.ROLES.items() if k != "v"] + [ink]:
            a, b = sorted([GREY @ light(color), GREY @ light(paper)])
            assert (b + 0.05) / (a + 0.05) >= 3
