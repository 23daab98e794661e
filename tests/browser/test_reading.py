"""Reading with a keyboard, at first sight, and by search."""

import pytest
from browser import settled
from test_pages import at_rest

# What a reader types, and a page that must be among the first answers.
QUESTIONS = [
    ("neural tangent kernel", "book/04_kernel.html"),
    ("gradient flow", "book/03_flow.html"),
    ("balanced", "book/03_flow.html"),
    ("invariants", "book/03_flow.html"),
    ("polyphase", "book/02_function_space.html"),
    ("neuromanifold", "book/02_function_space.html"),
    ("Riemannian gradient flow", "book/07_riemannian_flow.html"),
    ("Proposition 2", "book/03_flow.html"),
    ("discriminant", "book/09_bounce.html"),
    ("sectional curvature", "book/11_closed_form.html"),
    ("geodesic", "book/11_closed_form.html"),
    ("unique factorization", "book/10_two_dimensions.html"),
    ("cross-correlation", "book/01_polynomials.html"),
]
CHAPTER = "book/01_polynomials.html"
LIGHT = "book/map.html"  # the search is the same everywhere; a chapter would be typeset for nothing
LONG = 180_000  # ms; the machine may be busy


@pytest.fixture
def page(chromium):
    page = chromium.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(LONG)
    yield page
    page.close()


@pytest.mark.parametrize(("words", "target"), QUESTIONS, ids=[q for q, _ in QUESTIONS])
def test_search_finds_statements_by_their_usual_names(page, base, html, words, target):
    if not (html / target).exists():
        pytest.fail(f"{target} is not in the book")
    page.goto(base + LIGHT)
    page.keyboard.press("Control+k")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    # It says so after the last answer.
    page.locator("#search-results .search-summary").filter(has_text="found").wait_for()
    # Statements and words first, then pages.
    found = page.locator(".lcn-answers li > a, .lcn-answer-where a, #search-results li a")\
        .evaluate_all("all => all.map(a => a.href)")
    pages = list(dict.fromkeys(link.split("?")[0].split("#")[0] for link in found))
    assert base + target in pages[:5], f"found {pages}"


def test_landmarks_have_names_of_their_own(page, base):
    page.goto(base + CHAPTER)  # formulas make no difference here
    assert page.locator("main").count() == 1
    assert page.get_by_role("contentinfo").count() == 1
    names = page.locator("nav, aside:not([hidden])").evaluate_all(
        "all => all.filter(e => e.checkVisibility()).map(e => e.getAttribute('aria-label')"
        " || document.getElementById(e.getAttribute('aria-labelledby'))?.textContent.trim())")
    assert len(names) >= 3 and all(names) and len(names) == len(set(names)), names
    assert page.locator("h1:visible").count() == 1  # another is for printing
    assert page.locator("html").get_attribute("lang") == "en"


def focused(page):
    return page.evaluate("""() => {
      const e = document.activeElement, look = getComputedStyle(e), box = e.getBoundingClientRect();
      // A label around a control may show its focus.
      const label = e.closest("label"), frame = label ? getComputedStyle(label) : look;
      const ring = s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0
        || s.boxShadow !== "none";
      return {html: e.outerHTML.slice(0, 120), name: e.id || e.name, nowhere: e === document.body,
              place: window.stops?.indexOf(e), inMain: !!e.closest("main"),
              seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
              ringed: ring(look) || ring(frame)};
    }""")


def test_skip_link_comes_first_and_leads_to_the_text(page, base):
    page.goto(base + CHAPTER)
    page.keyboard.press("Tab")
    link = page.locator(":focus")
    assert link.inner_text() == "Skip to main content"
    at_rest(page)  # it slides in
    assert focused(page)["seen"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page)["inMain"]


@pytest.mark.parametrize("name", ["book/index.html", CHAPTER])
def test_tab_goes_through_the_page_in_its_order_and_is_seen(page, base, name):
    settled(page, base + name)
    assert page.evaluate("[...document.querySelectorAll('[tabindex]')].every(e => e.tabIndex <= 0)")
    controls = page.locator(".lcn-explore input, .lcn-explore select").evaluate_all(
        "all => all.filter(e => e.type !== 'radio' || e.checked).map(e => e.id || e.name)")
    reached, faults, order = [], [], []
    page.evaluate("window.stops = [...document.querySelectorAll('*')]")
    page.keyboard.press("Tab")
    at_rest(page)  # the skip link slides in
    for _ in range(400):
        where = focused(page)
        if where["nowhere"] or where["place"] in order[-1:]:
            break
        order.append(where["place"])
        if not (where["seen"] and where["ringed"]):
            faults.append(where)
        reached.append(where["name"])
        page.keyboard.press("Tab")
    assert order == sorted(order), "the order of tabs is not that of the page"
    assert [r for r in reached if r in controls] == controls
    assert not faults, "\n".join(map(str, faults))


PLACES = [(CHAPTER, "equation-eq-01-layer"), (CHAPTER, "cor-01-outer"), (CHAPTER, "summary"),
          ("book/04_kernel.html", "equation-eq-04-plane"),
          ("book/05_one_kernel.html", "def-05-smooth"), ("book/notation.html", "glossary")]
# Safari's engine does not hold what is in view while formulas above it are typeset.
LIKE_SAFARI = """const old = CSS.supports;
CSS.supports = (...a) => a[0] !== "overflow-anchor" && old(...a);
document.addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style");
  style.textContent = "* { overflow-anchor: none !important; }";
  document.head.append(style);
});"""


# Other pages meet Safari's engine itself (test_engines.py).
@pytest.mark.parametrize(("name", "place", "anchored"), [
    *((*p, True) for p in PLACES), *((*p, False) for p in PLACES if p[0] == CHAPTER)])
def test_a_link_into_a_page_keeps_its_place(chromium, base, name, place, anchored):
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    if not anchored:
        page.add_init_script(LIKE_SAFARI)
    settled(page, f"{base}{name}#{place}")
    # The browser puts the view right with the next frame.
    page.evaluate("new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")
    top, at_end = page.evaluate("""id => [
      document.getElementById(id).getBoundingClientRect().top,
      scrollY + innerHeight > document.documentElement.scrollHeight - 2]""", place)
    page.close()
    assert 48 <= top < (900 if at_end else 120)  # the bar ends at 48


def test_paper_is_light_and_whole(chromium, base):
    page = chromium.new_page(color_scheme="dark")
    settled(page, base + CHAPTER)
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("html").get_attribute("data-theme") == "light"
    for gone in (".skip-link", ".bd-header-article", ".bd-footer-content", ".toggle-button",
                 ".copybtn", "details.hide"):
        assert not page.locator(gone).locator("visible=true").count(), gone
    cut = page.locator(".highlight pre").evaluate_all(
        "all => all.filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).length")
    assert not cut, "code is cut"
    assert page.locator("main details:not([open], .hide)").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.close()


def test_paper_gets_the_formulas_that_are_still_to_be_typeset(chromium, base):
    page = chromium.new_page()
    page.add_init_script("window.requestIdleCallback = () => 0")  # as if it never came to rest
    page.goto(base + CHAPTER)
    page.wait_for_function("document.querySelector('mjx-container')")
    left = page.locator(".math:not(:has(mjx-container))")
    assert left.count()
    page.pdf()
    assert not left.count()
    page.close()


@pytest.mark.parametrize("name", ["book/03_flow.html", "book/17_learning.html"])
def test_the_first_picture_waits_for_no_formula(chromium, base, name):
    page = chromium.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    # The mathematics never arrives: the picture must move without it.
    page.route("**/vendor/mathjax/**", lambda route: None)
    page.goto(base + name, wait_until="commit")
    handle = page.locator(".lcn-explore input[type=range]").first
    handle.focus()
    before, at_end = handle.evaluate("""e => [
      document.querySelector(".lcn-frame").dataset.frame, e.value === e.max]""")
    page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    page.wait_for_function(
        "b => document.querySelector('.lcn-frame').dataset.frame !== b", arg=before,
        timeout=LONG)
    assert not page.locator("mjx-container").count()
    assert page.locator("*").count() < 20_000
    # Every one of them may be in the way of the first picture.
    assert len(asked) < 45, "\n".join(asked)
    page.close()
