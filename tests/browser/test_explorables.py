"""Each picture that a reader drags, in a browser: pointer, keyboard, words, address, axe-core."""

import json
import re

import numpy as np
import pytest
from playwright.sync_api import expect
from test_pages import LONG, nothing_for_axe

import lcnlib as lcn
from lcnlib.display import drawn_critical, drawn_images, modules
from lcnlib.display.pictures import PICTURES

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A picture</title><style>body {{ margin: 1rem; background: {back}; color: {ink};
--pst-color-background: {back} }}</style><main><h1>A picture</h1>
<div data-picture="{name}" id="it" data-state='{state}'></div></main><script>{script}</script>"""


@pytest.fixture
def stage(chromium, tmp_path):
    """A page from the file system that holds one picture; faults and requests fail the test."""
    wrong, contexts = [], []

    def show(name, width=1000, dark=False, query="", state=None, **options):
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda e: wrong.append(f"page error: {e}"))
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith(("file:", "blob:"))
                else wrong.append(r.url))
        back, ink = ("#121212", "#eeeeee") if dark else ("#ffffff", "#222222")
        path = tmp_path / f"{name}.html"
        path.write_text(PAGE.format(name=name, script=modules.script(), back=back, ink=ink,
                                    state=json.dumps(state or {})), encoding="utf-8")
        page.goto(path.as_uri() + query)
        return page

    yield show
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)


def words(page):
    return page.locator(".lcn-caption").inner_text()


def at_rest(page):
    """Wait until what has moved is drawn, spoken and in the address."""
    page.wait_for_selector(".lcn-touch:not([data-busy], [data-moving])", timeout=LONG)


def spoken(page):
    at_rest(page)
    return page.locator("[aria-live]").inner_text()


def drag(page, handle, dx, dy):
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()
    at_rest(page)


@pytest.mark.parametrize("name", PICTURES)
def test_pointer_and_keyboard_move_every_handle(stage, name):
    page = stage(name)
    nothing_for_axe(page)
    handles = page.locator("[role=slider]:visible").all()
    assert handles or name == "map"
    for k, handle in enumerate(handles):
        if not handle.is_visible():
            continue  # a root that has found its partner
        box = handle.bounding_box()
        assert min(box["width"], box["height"]) > 43.9
        assert handle.get_attribute("aria-label")
        told = handle.get_attribute("aria-valuetext")
        drag(page, handle, 17, -23)
        after = handle.get_attribute("aria-valuetext")
        assert after != told, f"handle {k}: dragging changes nothing"
        handle.focus()
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Shift+ArrowDown")
        at_rest(page)
        assert handle.get_attribute("aria-valuetext") != after, f"handle {k}: keys change nothing"
    if not handles:
        return
    assert spoken(page) == words(page)
    assert page.locator("svg[role=img]").first.get_attribute("aria-label").endswith(words(page))
    nothing_for_axe(page)


@pytest.mark.parametrize("name", PICTURES)
def test_every_control_changes_something_and_reset_brings_it_back(stage, name):
    page = stage(name, dark=True)
    first = picture(page)
    for k, slider in enumerate(page.locator("input[type=range]").all()):
        before = picture(page)
        slider.focus()
        for _ in range(12):
            page.keyboard.press("ArrowRight")
        at_rest(page)
        if picture(page) == before:  # it was at its end
            page.keyboard.press("Home")
            at_rest(page)
        assert picture(page) != before, f"slider {k} changes nothing"
    for k, box in enumerate(page.locator("input[type=checkbox]").all()):
        before = picture(page)
        box.click()
        at_rest(page)
        assert picture(page) != before, f"box {k} changes nothing"
    for k, menu in enumerate(page.locator("select").all()):
        before = picture(page)
        menu.select_option(index=1 if menu.evaluate("m => m.selectedIndex") == 0 else 0)
        at_rest(page)
        assert picture(page) != before, f"menu {k} changes nothing"
    nothing_for_axe(page)
    page.get_by_role("button", name="Reset").click()
    at_rest(page)
    assert picture(page) == first


def picture(page):
    at_rest(page)
    return page.evaluate("""() => document.querySelector('.lcn-caption').textContent +
        [...document.querySelectorAll('.lcn-panel path, .lcn-panel circle, .lcn-panel text')]
        .filter(e => e.style.display !== 'none')
        .map(e => (e.getAttribute('d') || e.getAttribute('cx') + e.getAttribute('cy')) +
          e.getAttribute('style') + e.textContent).sort().join()""")


def nudge(page, name):
    if name == "map":
        page.get_by_label("layer 2: columns").select_option("3")
        at_rest(page)
    else:
        drag(page, page.locator("[role=slider]:visible").first, -20, -30)


@pytest.mark.parametrize("name", PICTURES)
def test_a_link_shows_what_i_see(stage, name):
    page = stage(name, width=390, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    nudge(page, name)
    seen, address = words(page), page.url
    assert "?it=" in address
    again = stage(name, width=390, query=address[address.index("?"):] + "#place")
    assert words(again) == seen
    nudge(again, name)
    assert again.url.endswith("#place")
    nothing_for_axe(again)


def test_reduced_motion_shows_the_end_at_once(stage):
    page = stage("plane", reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    at_rest(page)
    assert words(page).startswith("Time 6.00")


def test_play_and_pause(stage):
    page = stage("plane")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("was => document.querySelector('.lcn-caption').textContent !== was",
                           arg=words(page), timeout=LONG)
    page.get_by_role("button", name="Pause").click()
    at_rest(page)
    seen = words(page)
    page.evaluate("""() => new Promise(done => {
        let frames = 20;
        const tick = () => frames-- ? requestAnimationFrame(tick) : done();
        tick(); })""")
    assert words(page) == seen and not seen.startswith("Time 0.40")


def test_finger_drags_the_star(stage):
    page = stage("plane", width=390, has_touch=True)
    client = page.context.new_cdp_session(page)
    box = page.locator("[role=slider][aria-label=target]").bounding_box()
    x, y = box["x"] + 22, box["y"] + 22
    before = words(page)
    for kind, dy in [("touchStart", 0), ("touchMove", 20), ("touchMove", 60), ("touchEnd", None)]:
        points = [] if dy is None else [{"x": x, "y": y + dy}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    at_rest(page)
    assert words(page) != before
    assert page.evaluate("window.scrollY") == 0


def numbers(text):
    return [float(x.replace("−", "-")) for x in re.findall(r"[−-]?\d+(?:\.\d+)?", text)]


def state_of(page):
    at_rest(page)
    text = page.evaluate("new URLSearchParams(location.search).get('it')")
    return {k: json.loads(v) for k, v in (part.split("=") for part in text.split("!"))}


# A widget's model: Python's echo of what it was told is a change like any other.
WIDGET = """async ([code, state]) => {
  const { render } = (await import(URL.createObjectURL(
    new Blob([code], { type: "text/javascript" })))).default;
  const listeners = {};
  window.told = [];
  window.model = {
    get: k => state[k], on: (name, f) => { listeners[name] = f; },
    set(k, v) {
      if (JSON.stringify(v) === JSON.stringify(state[k])) return;
      state[k] = v;
      listeners[`change:${k}`]?.();
    },
    save_changes() { told.push({ ...state }); },
  };
  const el = document.body.appendChild(document.createElement("div"));
  el.id = "widget";
  render({ model: window.model, el });
}"""


def test_a_late_echo_takes_nothing_back_in_a_widget(stage):
    page = stage("plane")
    state = {"picture": "plane", "caption": "", **PICTURES["plane"].defaults}
    page.evaluate(WIDGET, [modules.module(), state])
    widget = page.locator("#widget")
    handle = widget.locator("[role=slider]").first
    handle.press("ArrowRight")
    page.wait_for_function("told.length === 1", timeout=LONG)
    first = page.evaluate("told[0].start")
    # Before the second move is told, Python has answered to the first.
    handle.evaluate("""(e, start) => {
      e.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
      model.set("start", start);
    }""", first)
    page.wait_for_function("told.length === 2", timeout=LONG)
    second = page.evaluate("told[1].start")
    assert state["start"][0] < first[0] < second[0]
    assert page.evaluate("model.get('start')") == second
    expect(handle).to_have_attribute("aria-valuetext", "({}, {})".format(
        *(f"{x:.2f}".replace("-", "−") for x in second)))
    page.evaluate("model.set('start', [-1, 0.5])")  # what Python says by itself is followed
    expect(handle).to_have_attribute("aria-valuetext", "(−1.00, 0.50)", timeout=LONG)


def test_plane_shows_what_lcnlib_computes(stage):
    page = stage("plane", state={"delta": 1.5, "time": 0.7})
    drag(page, page.locator("[role=slider][aria-label=target]"), 90, 140)
    s, net = state_of(page), lcn.LCN((2, 1))
    w = lcn.lift(net, s["start"], [s["delta"]])
    flow = lcn.gradient_flow(net, lcn.QuadraticLoss(s["target"]), w, [0, s["time"]])
    axes = 0.2 * np.linalg.svd(lcn.jacobian(net, [x[-1] for x in flow.filters]))[1]
    want = [s["time"], s["delta"], *flow.end_to_end[-1], flow.loss[-1], 0.2, *axes]
    assert np.allclose(numbers(words(page)), want, atol=6e-3)
    assert np.allclose(numbers(words(page))[2:5], want[2:5], atol=6e-4)


def test_zero_can_be_hit_by_hand(stage):
    page = stage("plane", state={"target": [2.0, 1.0]})
    assert "passes zero" not in words(page)
    drag(page, page.locator("[role=slider][aria-label=target]"), -150, 30)
    s, net = state_of(page), lcn.LCN((2, 1))
    tail = words(page).split("At time")[1]
    assert "v passes zero" in tail and s["target"][0] < 0
    w = lcn.lift(net, s["start"], [s["delta"]])
    flow = lcn.gradient_flow(net, lcn.QuadraticLoss(s["target"]), w, np.linspace(0, 6, 1201))
    weight = flow.filters[1][:, 0]
    assert weight[0] > 0 > weight[-1]
    assert abs(numbers(tail)[0] - flow.t[np.argmax(weight < 0)]) < 0.03


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_landing_page_from_the_file_system(chromium, html, size):
    context = chromium.new_context(viewport=dict(zip(("width", "height"), size)))
    page = context.new_page()
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    page.goto((html / "book" / "index.html").resolve().as_uri())
    star = page.locator("[role=slider][aria-label=target]")
    star.wait_for()
    plane = page.locator(".lcn-panel").first.bounding_box()
    assert plane["y"] + plane["height"] <= size[1], "the picture is the first thing in view"
    ways = page.locator(".lcn-panel path").evaluate_all("es => es.map(e => e.getAttribute('d'))")
    drag(page, star, 60, 40)
    now = page.locator(".lcn-panel path").evaluate_all("es => es.map(e => e.getAttribute('d'))")
    assert sum(a != b for a, b in zip(ways, now)) >= 5
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    context.close()


def test_polynomials_shows_what_lcnlib_computes(stage):
    page = stage("polynomials", state={"stride": 3})
    drag(page, page.get_by_role("slider", name="layer 1, entry 2"), 0, 31)
    drag(page, page.get_by_role("slider", name="root of layer 1", exact=True), -40, -70)
    s = state_of(page)
    net = lcn.LCN((3, 2), (s["stride"], 1))
    want = [*s["first"], *s["second"], 3, *lcn.end_to_end(net, [s["first"], s["second"]])]
    root = np.roots(s["first"][::-1])[0]
    assert abs(root.imag) > 0.1, "the root has left the real axis, and its partner with it"
    assert np.allclose(numbers(words(page))[:12], want, atol=6e-3)
    assert np.allclose(numbers(words(page))[13:15], [root.real, abs(root.imag)], atol=6e-3)


def test_a_signal_can_be_drawn(stage):
    page = stage("polynomials")
    box = page.locator(".lcn-panel svg[role=img]").nth(3).bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"], steps=9)
    page.mouse.up()
    assert len(set(state_of(page)["signal"])) > 4
    page.get_by_role("button", name="spike").click()
    assert sum(state_of(page)["signal"]) == 2


def test_hyperbolas_shows_what_lcnlib_computes(stage):
    page = stage("hyperbolas", state={"step": 0.1})
    drag(page, page.get_by_role("slider", name="start"), 30, -150)
    s, net = state_of(page), lcn.LCN((1, 1))
    w = [np.array([x]) for x in s["start"]]
    loss = lcn.QuadraticLoss([s["target"]])
    flow = lcn.gradient_flow(net, loss, w, [0, 6])
    for _ in range(60):
        g = lcn.vjp(net, w, loss.gradient(lcn.end_to_end(net, w)))
        w = [x - 0.1 * y for x, y in zip(w, g)]
    end = lcn.invariants(net, w)[0]
    delta = flow.invariants[0, 0]
    want = [*s["start"], delta, *(x[-1, 0] for x in flow.filters), 0.1, end, end - delta]
    got = numbers(words(page).replace("w₁w₂", ""))
    assert np.allclose(got[:2], want[:2], atol=6e-3) and np.allclose(got[2:], want[2:], atol=6e-4)


def test_bounce_shows_what_lcnlib_computes(stage):
    page = stage("bounce", state={"time": 1.5})
    drag(page, page.get_by_role("slider", name="first filter"), -60, 30)
    drag(page, page.get_by_role("slider", name="target", exact=True), 10, 40)
    s, net = state_of(page), lcn.LCN((2, 2))
    (x, y), z = s["target"], s["level"]
    loss = lcn.QuadraticLoss([(z - y) / 2, x, (z + y) / 2])
    flow = lcn.gradient_flow(net, loss, [np.array(s["first"]), np.array(s["second"])],
                             np.linspace(0, 3, 121))
    det = np.linalg.det(np.stack(flow.filters, axis=1))
    got = numbers(words(page).replace("w₁, w₂", ""))
    want = [flow.invariants[0, 0], 1.5, *flow.end_to_end[60], det[60]]
    assert np.allclose(got[:6], want, atol=6e-4)
    assert len(got) - 6 == (det[1:] * det[:-1] < 0).sum()


def test_a_bounce_can_be_found_by_hand(stage):
    page = stage("bounce")
    assert "no bounce" in words(page)
    drag(page, page.get_by_role("slider", name="second filter"), 75, -30)
    assert "turns back, a bounce" in words(page)


def test_comb_shows_what_lcnlib_computes(stage):
    page = stage("comb")
    assert "is expressible" in words(page)
    assert np.allclose(numbers(words(page))[6:], [2, 1, -1, 1, 1], atol=6e-4)
    drag(page, page.get_by_role("slider", name="entry 2 of v"), 0, -30)
    assert "is not expressible" in words(page)
    page.get_by_role("button", name="Put v onto M").click()
    s, net = state_of(page), lcn.LCN((3, 2), 2)
    assert "is expressible" in words(page)
    w = lcn.lift(net, s["v"], [s["delta"]], rtol=1e-4)
    assert np.allclose(numbers(words(page))[6:], np.concatenate(w), atol=2e-3)


def test_geodesics_shows_what_lcnlib_computes(stage):
    page = stage("geodesics", state={"delta": 1.5, "start": [-1.4, 0.6], "tip": [-0.9, 1.3]})
    drag(page, page.get_by_role("slider", name="tip of the arrow"), 25, -40)
    s, net = state_of(page), lcn.LCN((2, 1))
    w, a = lcn.lift(net, s["start"], [s["delta"]]), np.subtract(s["tip"], s["start"])
    want = [s["delta"], *s["start"], *a, lcn.inner(net, w, a, a) ** 0.5, 1,
            *lcn.geodesic(net, w, a, 1.0)]
    got = numbers(words(page))
    assert np.allclose(got, want, atol=6e-3) and np.allclose(got[5:], want[5:], atol=6e-4)


def test_basins_shows_what_lcnlib_computes(stage):
    page = stage("basins")
    drag(page, page.get_by_role("slider", name="target", exact=True), 62, -45)
    drag(page, page.get_by_role("slider", name="directions of the start, δ = 0"), -30, 20)
    s = state_of(page)
    loss = drawn_critical.basins_loss(s["target"])
    c = lcn.critical_points(drawn_critical.NET, loss)
    heights, index = c.loss[c.real].real, c.index[c.real]
    text = words(page).replace("w₁, w₂", "")
    head, tail = text.split("The flow that starts")
    want = [*loss.target, len(index), 6, *heights[index == 0], *heights[index == 1]]
    assert len(index) == 6, "dragged to where all six are real"
    assert np.allclose(numbers(head)[:6], want[:6], atol=6e-3)
    assert np.allclose(numbers(head)[6:], want[6:], atol=6e-4)
    ends = [int(drawn_critical.ends(s["target"], s["start"], s["size"], delta)[0]) + 1
            for delta in (-3, 0, 3)]
    got = numbers(tail)[2:]
    assert got[::2] == ends if len(set(ends)) > 1 else got[0] == ends[0]


def test_painting_shows_what_lcnlib_computes(stage):
    page = stage("painting")
    cell = page.get_by_role("slider", name="layer 1, row 2, column 3")
    drag(page, cell, 0, -48)
    cell.focus()
    page.keyboard.press("ArrowRight")  # to the first cell of the next row
    page.keyboard.press("ArrowUp")
    before = state_of(page)
    assert np.isclose(before["first"][1][2], 0.125 + 0.8, atol=0.02)
    assert np.isclose(before["first"][2][0], 0.05)
    net, w = drawn_images.NET, [np.array(before[k]) for k in ("first", "second")]
    v = lcn.end_to_end(net, w)
    want = [lcn.invariants(net, w)[0], 25, v.sum(), v.flat[np.abs(v).argmax()]]
    assert np.allclose(numbers(words(page))[:4], want, atol=6e-4)
    page.get_by_role("button", name="Exchange the layers").click()
    after = [np.array(state_of(page)[k]) for k in ("first", "second")]
    assert np.allclose(lcn.end_to_end(net, after), v, atol=1e-4)
    assert np.allclose(lcn.invariants(net, after), lcn.invariants(net, w), atol=1e-4)
    assert "another kernel" in words(page)
    kernels = [lcn.ntk(net, x) for x in (w, after)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-2


def test_map_shows_what_lcnlib_computes(stage):
    page = stage("map")
    assert "1 factorisation and 1 kernel" in words(page)
    page.get_by_label("layer 1: columns").select_option("3")
    page.get_by_label("layer 2: rows").select_option("3")
    page.get_by_label("layer 2: columns").select_option("3")
    page.get_by_label("stride").first.select_option("1")
    s = state_of(page)
    net = lcn.LCN([tuple(k) for k in s["shapes"][:2]], [(1, 1), (2, 2)])
    assert numbers(words(page))[:4] == [net.dimension, 25, lcn.generic_kernel_count(net),
                                        lcn.generic_kernel_count(net)]
    assert "could change places" in words(page) and "a metric on each sheet" in words(page)
