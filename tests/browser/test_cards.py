"""References that show what they lead to, the way back, permalinks, answers to a search."""

import re
import sys
from pathlib import Path

import pytest
from browser import settled
from playwright.sync_api import expect
from test_pages import nothing_for_axe

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ext"))
import reading  # noqa: E402

CHAPTER = "book/07_riemannian_flow.html"
PLACES = {  # what a link leads to, and words of its card
    "05_one_kernel.html#def-05-smooth": "Definition 5.",
    "#equation-eq-06-plane": "(7.1)",
    "#fig-06-two-flows": "One start, one loss",
    "notation.html#term-good-set": "An open set of filters",
    "toolbox.html#tool-submanifold": "if near each of its points",
    "api.html#lcnlib.gradient_flow": "gradient_flow(",
    "bibliography.html#": "The Riemannian geometry associated to gradient flows",
}


def reference(page, place):
    return page.locator(f'main a[href^="{place}"]:not(.headerlink):visible').first


@pytest.fixture
def chapter(chromium, base):
    """A chapter by mouse and keyboard; an error on it fails the test."""
    wrong = []
    page = chromium.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page.on("pageerror", lambda e: wrong.append(str(e)))
    settled(page, base + CHAPTER)
    yield page
    page.close()
    assert not wrong


def test_a_mouse_that_rests_on_a_link_shows_what_it_leads_to(chapter):
    for place, words in PLACES.items():
        link = reference(chapter, place)
        link.hover()
        chapter.locator(".lcn-card").wait_for()
        card = chapter.locator(".lcn-card")
        assert words in card.inner_text(), place
        assert not card.locator(".math:not(:has(mjx-container))").count(), place
        assert not card.locator("[id]:not(svg *)").count()
        assert link.get_attribute("aria-describedby") == card.get_attribute("id")
        box, line = card.bounding_box(), link.bounding_box()
        assert 0 <= box["x"] and box["x"] + box["width"] <= 1280
        assert box["y"] >= line["y"] + line["height"] or box["y"] + box["height"] <= line["y"]
        card.hover()
        if place.startswith("05_"):
            chapter.wait_for_timeout(500)  # it stays while the mouse is on it
            assert card.count() == 1
            nothing_for_axe(chapter, place=".lcn-card")
        chapter.keyboard.press("Escape")  # away, the mouse where it is
        assert not card.count()
        chapter.mouse.move(5, 5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_link_under_the_mouse_can_be_read(chapter, scheme):
    chapter.emulate_media(color_scheme=scheme)
    expect(chapter.locator("html")).to_have_attribute("data-theme", scheme)
    link = reference(chapter, "05_one_kernel.html#def-05-smooth")
    link.hover()
    chapter.locator(".lcn-card").wait_for()
    link.evaluate("e => e.setAttribute('data-this', '')")
    nothing_for_axe(chapter, place="[data-this]")


def test_the_keyboard_shows_a_card_and_moves_on(chapter):
    link = reference(chapter, "05_one_kernel.html#def-05-smooth")
    link.evaluate("""e => {
      const all = [...document.querySelectorAll("main a, main button")];
      all[all.indexOf(e) - 1].focus();
    }""")
    chapter.keyboard.press("Tab")
    chapter.locator(".lcn-card").wait_for()
    expect(link).to_be_focused()
    assert chapter.get_by_role("tooltip").count() == 1
    chapter.keyboard.press("Tab")
    assert not chapter.locator('[aria-describedby="lcn-card"]').evaluate_all(
        "(all, old) => all.filter(e => e === old).length", link.element_handle())
    assert chapter.evaluate("!document.activeElement.closest('.lcn-card')")


def test_a_phone_says_where_one_is(chromium, base):
    page = chromium.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    settled(page, f"{base}{CHAPTER}#summary")
    expect(page.locator(".lcn-progress")).to_have_attribute("style", re.compile("width: [1-9]"))
    page.locator(".secondary-toggle:visible").click()
    assert page.locator('.page-toc a[aria-current="location"]').count() == 1
    assert page.locator(".page-toc a.active").count() == 1
    page.close()


def test_the_way_back_inside_a_page_by_keyboard(chapter):
    link = reference(chapter, "#equation-eq-06-plane")
    link.focus()
    before = link.evaluate("e => e.getBoundingClientRect().top")
    chapter.keyboard.press("Enter")
    back = chapter.get_by_role("button", name="Back to 7.")
    back.wait_for()
    assert not chapter.locator(".lcn-card").count()
    chapter.keyboard.press("Tab")
    assert back.evaluate("e => e === document.activeElement")
    chapter.keyboard.press("Enter")
    back.wait_for(state="detached")
    assert link.evaluate("e => e === document.activeElement")
    assert abs(link.evaluate("e => e.getBoundingClientRect().top") - before) < 2


def test_a_finger_sees_the_card_goes_there_and_comes_back_from_a_folder(chromium, html):
    page = chromium.new_page(viewport={"width": 390, "height": 844}, has_touch=True,
                             color_scheme="dark", reduced_motion="reduce")
    settled(page, (html / CHAPTER).as_uri())
    link = reference(page, "05_one_kernel.html#def-05-smooth")
    link.tap()
    page.locator(".lcn-card").wait_for()
    card = page.get_by_role("dialog", name="Definition 5.")
    assert card.evaluate("e => e === document.activeElement")
    assert link.bounding_box()["y"] + 10 < card.bounding_box()["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    nothing_for_axe(page, place=".lcn-card")
    page.get_by_role("button", name="Close").tap()
    assert not card.count() and link.evaluate("e => e === document.activeElement")
    link.tap()
    page.locator(".lcn-card").wait_for()
    card.locator('.lcn-card-body a[href*="#tool-submanifold"]').tap()  # one card leads to another
    page.get_by_role("dialog", name="submanifold").wait_for()
    page.touchscreen.tap(195, 120)
    assert not page.locator(".lcn-card").count()
    link.tap()
    card.get_by_role("link", name="Go there").tap()
    page.wait_for_url("**/05_one_kernel.html#def-05-smooth")
    back = page.get_by_role("button", name="Back to 7.")
    back.wait_for()
    nothing_for_axe(page, place=".lcn-back")
    back.tap()
    page.wait_for_url("**/07_riemannian_flow.html")
    expect(link).to_be_focused(timeout=60_000)
    assert not page.locator(".lcn-back").count()
    page.close()


def test_every_reference_has_a_card(html):
    pages = {path.name: reading.Page(path.read_text(encoding="utf-8"))
             for path in sorted(html.glob("book/*.html"))}
    missing, shown = set(), 0
    for name, page in pages.items():
        for link in page.elements:
            path, mark, place = link.get("href").partition("#")
            if link.tag != "a" or not mark or link.has("headerlink") or not link.has("reference"):
                continue
            leads = pages.get(path or name)
            if leads is None or place not in leads.at:
                continue  # other tests look for broken links
            if leads.card(place):
                shown += 1
            else:
                missing.add(f"{path or name}#{place}")
    assert shown > 500
    assert not missing


def test_statements_and_exercises_have_permalinks_with_names(html):
    count = 0
    for path in html.glob("book/*.html"):
        page = reading.Page(path.read_text(encoding="utf-8"))
        for element in page.elements:
            if page.kind(element) in ("statement", "exercise") and element.get("id"):
                links = re.findall(r'<a class="headerlink" href="#([^"]*)" aria-label="Link to '
                                   r'(\w+ [\d.]+)">', page.text[element.start:element.end])
                assert links and links[0][0] == element.get("id"), element.get("id")
                count += 1
    assert count > 200


@pytest.mark.parametrize(("asked", "name", "place"), [
    ("Theorem 7.1", "Theorem 7.1: ", "07_riemannian_flow.html#thm-06-riemannian-flow"),
    ("thm 7.1", "Theorem 7.1: ", "07_riemannian_flow.html#thm-06-riemannian-flow"),
    ("balanced kernel", "Proposition 8.2: ", "08_fully_connected.html#prop-connected-balanced"),
    ("Exercise 3.2", "Exercise 3.2: ", "03_flow.html#ex-"),
    ("figure 7.1", "Fig. 7.1: ", "07_riemannian_flow.html#fig-06-two-flows"),
    ("null space", "null space", "notation.html#term-null-space"),
    ("unique factorization of polynomials", "Unique factorisation", "toolbox.html#"),
])
def test_search_from_a_folder_begins_with_the_statement(chromium, html, asked, name, place):
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(60_000)
    page.goto((html / "search.html").as_uri() + f"?q={asked.replace(' ', '+')}")
    first = page.locator(".lcn-answers li").first
    assert first.locator("> a").inner_text().startswith(name)
    assert place in first.locator("> a").get_attribute("href")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    itself = first.locator(".lcn-answer")
    itself.wait_for()
    assert len(itself.inner_text()) > 20
    if asked == "Theorem 7.1":  # this page has no MathJax of its own
        expect(page.locator(".lcn-answers .math:not(:has(mjx-container))")).to_have_count(0)
        nothing_for_axe(page, place=".lcn-answers")
    page.close()
