"""Every page of the built book, in a browser that reaches nothing but the book itself."""

import gzip
import time
from pathlib import Path

import pytest
from browser import settled
from playwright.sync_api import expect

HERE = Path(__file__).resolve().parent
AXE = HERE.parents[1] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Bytes of a page's own HTML and pictures as they are, and of everything it loads on a first visit,
# compressed as web servers do.
LIMIT, ALL = 3_000_000, 1_500_000
# What may differ in the dark, on a phone: colours and sizes.
DARK_AND_SMALL = ["color-contrast", "link-in-text-block", "target-size",
                  "scrollable-region-focusable"]
WHOLE = (FRONT := "book/index.html"), "book/07_riemannian_flow.html", "book/notation.html"
LONG = 120_000  # ms to wait for what must happen; the machine may be busy
FRONT_LIMIT = 1_000_000


@pytest.fixture
def visit(chromium, base):
    """Open a page of the book; whatever goes wrong while it is open fails the test."""
    wrong, weights, contexts = [], {}, []

    def asked(request):
        if not request.url.startswith((base, "data:", "blob:")):
            wrong.append(f"asks another host: {request.url}")

    def answered(response):
        if response.status >= 400:
            wrong.append(f"{response.status} for {response.url}")
        else:
            weights[response.url] = response

    def open_page(name, width=1280, scheme="light", touch=False):
        context = chromium.new_context(viewport={"width": width, "height": 900},
                                       color_scheme=scheme, has_touch=touch,
                                       service_workers="block")
        contexts.append(context)
        page = context.new_page()
        page.on("request", asked)
        page.on("response", answered)
        page.on("pageerror", lambda e: wrong.append(f"page error: {e}"))
        page.on("console", lambda m: wrong.append(f"console: {m.text} {m.location}")
                if m.type == "error" else None)
        settled(page, base + name)
        # Not as a tag: the page's policy allows no script that is not its own.
        page.evaluate((HERE / "probes.js").read_text(encoding="utf-8"))
        page.weights = weights
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)


def nothing(page, *probes):
    """Fail with what the probes find."""
    found = {probe: page.evaluate(f"probes.{probe}()") for probe in probes}
    assert not any(found.values()), "\n".join(f"{k}: {v}" for k, v in found.items() if v)


# Of texts that look alike, the first: colour, size and weight, the background of all that they lie
# in, and what classes they and their parent have.  What is taken out of the flow counts by itself,
# because it may lie on anything.  The others keep their place: the mark only says what to measure.
ONE_OF_EACH_LOOK = """() => {
  const known = new Map(), seen = new Set();
  const below = e => {  // what the text of e lies on
    if (!e) return "";
    if (!known.has(e)) {
      const s = getComputedStyle(e);
      const own = /static|relative/.test(s.position) ? "" : `#${known.size}`;
      const look = [own, s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.mixBlendMode]
        .join();
      const last = below(e.parentElement);
      known.set(e, look === ",rgba(0, 0, 0, 0),none,1,none,normal" ? last : `${last}/${look}`);
    }
    return known.get(e);
  };
  for (const e of document.querySelectorAll("body *")) {
    const speaks = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!speaks && !/^(INPUT|SELECT|TEXTAREA)$/.test(e.tagName)) continue;
    const s = getComputedStyle(e), p = e.parentElement;
    const look = [e.tagName, e.className, e.type, e.disabled, p.tagName, p.className, s.color,
                  s.fontSize, s.fontWeight, s.textShadow, s.visibility, s.display,
                  s.getPropertyValue("-webkit-text-fill-color"), !e.getClientRects().length,
                  below(e)].join("|");
    e.toggleAttribute("data-look", !seen.has(look));
    seen.add(look);
  }
}"""


def nothing_for_axe(page, whole=True, place=None, rules=None):
    """Fail with what axe-core finds in the page, or in the place that a selector names.

    Unless `whole`, what is alike in all pages is taken out first, nine tenths of a page's nodes:
    the insides of formulas and drawings, and words of code but the first of each colour; and of
    texts that look alike the contrast of one is measured.  `rules` in place of all of RULES.
    """
    if not page.evaluate("!!window.axe"):
        page.evaluate(AXE.read_text(encoding="utf-8"))  # the page's policy allows no script tag
    if not place:  # nothing lies under the bar at the top, and no link under the mouse
        page.mouse.move(0, 0)
        page.evaluate("scrollTo(0, 0)")
    page.evaluate("s => axe.configure({rules: [{id: 'color-contrast', selector: s}]})",
                  "*" if whole else "[data-look]")
    if not whole:
        page.evaluate("""() => {
          for (const m of document.querySelectorAll("mjx-container"))
            m.replaceChildren("x");
          for (const part of document.querySelectorAll("svg.lcn-figure > :not(title)"))
            part.remove();
          const seen = new Set();
          for (const word of document.querySelectorAll("pre span[class]"))
            if (seen.has(word.className)) word.replaceWith(word.textContent);
            else seen.add(word.className);
        }""")
        page.evaluate(ONE_OF_EACH_LOOK)
    # The long lists of what passed stay in the browser: they would take most of the time.
    found = page.evaluate("""async ([rules, place]) => (await axe.run(place || document, {
      runOnly: rules, resultTypes: ["violations"], preload: !place})).violations""",
                          [rules or RULES, place])
    lines = []
    for rule in found:
        lines.append(f"[{rule['impact']}] {rule['id']}: {rule['help']}")
        lines += [f"    {node['html'][:200]} @ {node['target']} {node['failureSummary'][:300]}"
                  for node in rule["nodes"][:4]]
    assert not lines, "\n".join(lines)


def picture(box):
    """The frame that a widget shows: its words and its drawing."""
    return box.evaluate("b => [...b.querySelectorAll('figure svg.lcn-figure')].map("
                        "s => s.getAttribute('aria-label') + s.innerHTML).join('|')")


def changed(page, box, before):
    """Wait for another picture in the widget, and return it."""
    end = time.monotonic() + LONG / 1000
    while time.monotonic() < end:
        now = picture(box)
        if now and now != before:
            return now
        page.wait_for_timeout(25)
    return before


def test_wide_then_dark_and_on_a_phone(visit, page_name):
    page = visit(page_name)
    assert page.locator("html").get_attribute("data-theme") == "light"
    nothing(page, "untypeset", "texErrors", "rawTex", "broken", "nameless", "pale")
    check_weight(page.weights.values(), LIMIT if page_name != FRONT else FRONT_LIMIT,
                 ALL if page_name != FRONT else FRONT_LIMIT)
    for k, box in enumerate(page.locator(".lcn-explore").all()):
        try_widget(page, box, f"widget {k}")
    if page_name in WHOLE:
        nothing_for_axe(page)
    # The same page in other surroundings: to typeset it anew takes longer than this.
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark", timeout=LONG)
    at_rest(page)
    finger = Finger(page)
    dark_and_on_a_phone(page, finger.tap)
    nothing_for_axe(page, whole=False, rules=DARK_AND_SMALL)
    if page_name not in WHOLE:
        finger.away()
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")
        expect(page.locator("html")).to_have_attribute("data-theme", "light", timeout=LONG)
        at_rest(page)
        nothing_for_axe(page, whole=False)


def at_rest(page):
    """Wait until the colours of the theme that was left have gone."""
    page.wait_for_function("""() => !document.getAnimations().some(
        a => a.effect.getComputedTiming().endTime < Infinity)""")


class Finger:
    """A finger in place of the mouse, as a context with `has_touch` has from its start."""

    def __init__(self, page):
        self.client = page.context.new_cdp_session(page)
        self.emulate(enabled=True)
        assert page.evaluate("matchMedia('(pointer: coarse)').matches")

    def emulate(self, enabled):
        self.client.send("Emulation.setTouchEmulationEnabled", {"enabled": enabled})

    def tap(self, x, y):
        for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
            self.client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def away(self):
        self.emulate(enabled=False)


def check_weight(responses, limit, limit_all):
    own = everything = 0
    for response in list(responses):  # asking for a body lets further answers arrive
        body = response.body()
        if response.request.resource_type in ("document", "image"):
            own += len(body)
        packed = response.url.endswith((".woff", ".woff2", ".png"))
        everything += len(body) if packed else len(gzip.compress(body, 6))
    print(f"the page and its pictures {own / 1e6:.2f} MB, on the wire {everything / 1e6:.2f} MB")
    assert own < limit and everything < limit_all, "the page is too heavy"


def try_widget(page, box, name):
    before = picture(box)
    assert before, f"{name} shows no picture"
    for handle in box.locator("input[type=range]").all():
        slider = f"{name}, slider {handle.get_attribute('id')}"
        at_end = handle.input_value() == handle.get_attribute("max")
        handle.focus()
        page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
        after = changed(page, box, before)
        assert after != before, f"{slider}: the arrow key changes nothing"
        x, y, rail = knob(handle)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(far_end(x, rail), y, steps=8)
        page.mouse.up()
        before, after = after, changed(page, box, after)
        assert after != before, f"{slider}: dragging changes nothing"
        before = after
    for group in box.locator("fieldset").all():
        group.locator("label:not(:has(:checked))").first.click()
        before, after = before, changed(page, box, before)
        assert after != before, f"{name}: its buttons change nothing"
        group.locator(":checked").focus()
        page.keyboard.press("ArrowRight")
        before, after = after, changed(page, box, after)
        assert after != before, f"{name}: its buttons do not follow the arrow keys"
        before = after
    for menu in box.locator("select").all():
        menu.select_option(index=1 if menu.evaluate("m => m.selectedIndex") == 0 else 0)
        after = changed(page, box, before)
        assert after != before, f"{name}: its menu changes nothing"
        before = after
    shown = box.locator("svg.lcn-figure:visible").get_attribute("aria-label")
    expect(box.locator("[aria-live]"), f"{name}: the change is announced").to_have_text(
        shown, timeout=LONG)
    for handle in box.locator("input[type=range]").all():
        text = handle.locator("xpath=following-sibling::span").inner_text()
        assert text == handle.get_attribute("aria-valuetext"), f"{name}: the value is not told"


def knob(handle):
    """Where a slider's knob is, and the box of its rail."""
    handle.scroll_into_view_if_needed()
    rail = handle.bounding_box()
    part = int(handle.input_value()) / int(handle.get_attribute("max"))
    return rail["x"] + 8 + part * (rail["width"] - 16), rail["y"] + rail["height"] / 2, rail


def far_end(x, rail):
    """The end of the rail that is further away from `x`."""
    left = x > rail["x"] + rail["width"] / 2
    return rail["x"] + (4 if left else rail["width"] - 4)


def dark_and_on_a_phone(page, tap):
    nothing(page, "pale")
    page.set_viewport_size({"width": 360, "height": 780})
    nothing(page, "wide", "cramped")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for box in page.locator(".lcn-explore:has(input[type=range])").all():
        handle = box.locator("input[type=range]").first
        before = picture(box)
        x, y, rail = knob(handle)
        assert rail["height"] >= 40, "the slider is too small for a finger"
        tap(far_end(x, rail), y)
        assert changed(page, box, before) != before, "a finger does not move the slider"


@pytest.mark.parametrize("name", WHOLE)
def test_opened_in_the_dark_on_a_touch_screen(visit, name):
    page = visit(name, scheme="dark", touch=True)
    assert page.locator("html").get_attribute("data-theme") == "dark"
    dark_and_on_a_phone(page, page.touchscreen.tap)
    nothing_for_axe(page, whole=False)
    page.set_viewport_size({"width": 1280, "height": 900})
    nothing_for_axe(page, whole=False)
