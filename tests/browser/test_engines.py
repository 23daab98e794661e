"""A few pages in Firefox and in Safari's engine (WebKitGTK); tools/engines.py drives them.

Where an engine cannot be had its tests are skipped, and say so.
"""

import io
import re
import sys
from pathlib import Path

import pypdf
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import browser  # noqa: E402
import engines  # noqa: E402

# A page and where a cold link leads: formulas above a place are typeset after the browser has gone
# there.  Widgets, pictures that a reader drags, exercises and a long list of words are among them.
PAGES = [("book/index", ""), ("book/04_kernel", "equation-eq-04-plane"),
         ("book/05_one_kernel", "def-05-smooth"), ("book/05_one_kernel", "thm-05-smooth"),
         ("book/07_riemannian_flow", ""), ("book/10_two_dimensions", "exercises"),
         ("book/12_singular_critical", "equation-eq-10-degree"), ("book/notation", "glossary")]
PAPER = "book/09_bounce"
PROBES = (Path(__file__).parent / "probes.js").read_text(encoding="utf-8")
# First in each page: WebDriver does not tell what is written to the console.
WATCH = """window.faults = [];
addEventListener("error", e => {
  if (/^ResizeObserver/.test(e.message)) return;  // the driver asked while the page was laid out
  faults.push(e.message || `missing: ${e.target.outerHTML}`);
}, true);
addEventListener("unhandledrejection", e => faults.push(`rejected: ${e.reason}`));
addEventListener("securitypolicyviolation", e => faults.push(
  `policy: ${e.effectiveDirective} ${e.blockedURI} ${e.sample}`));
const write = console.error;
console.error = (...words) => { faults.push(words.join(" ")); write(...words); };
"""
SETTLED = "return (window.MathJax?.startup?.promise ?? Promise.resolve()).then(" \
          "() => document.fonts.ready).then(() => true)"


@pytest.fixture(scope="session", params=list(engines.ALL))
def engine(request):
    try:
        with engines.ALL[request.param]() as running:
            running.name = request.param
            yield running
    except engines.Missing as missing:  # the reason names it
        pytest.skip(f"not tested in {request.param}: {missing}")


@pytest.fixture(scope="session")
def watched(html, tmp_path_factory):
    """The address of the book, with a script in the pages that notes what goes wrong."""
    root = tmp_path_factory.mktemp("watched")
    (root / "watch.js").write_text(WATCH)
    (root / "book").mkdir()
    for path in [*html.iterdir(), *(html / "book").iterdir()]:
        copy = root / path.relative_to(html)
        if path.parent.name == "book" and path.suffix == ".html":
            text, count = re.subn("<head>", '<head><script src="../watch.js"></script>',
                                  path.read_text(encoding="utf-8"), count=1)
            assert count == 1
            copy.write_text(text, encoding="utf-8")
        elif not copy.exists():
            copy.symlink_to(path)
    with browser.serve(root) as address:
        yield address


@pytest.fixture
def visit(engine, watched):
    def go(name, place=""):
        engine.goto(f"{watched}{name}.html{place and '#'}{place}")
        engine.script(SETTLED)
        return engine

    yield go
    assert engine.script("return window.faults ?? ['no script ran']") == []
    asked = engine.script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [a for a in asked if not a.startswith((watched, "data:", "blob:"))] == []


@pytest.mark.parametrize(("name", "place"), PAGES, ids=[p or n for n, p in PAGES])
def test_a_page_is_typeset_keeps_its_place_and_answers_the_keyboard(visit, name, place):
    page = visit(name, place)
    if place:
        keeps_its_place(page, place)
    for probe in ("untypeset", "texErrors", "rawTex", "broken", "nameless", "pale"):
        assert page.script(f"{PROBES}\nreturn probes.{probe}()") == [], probe
    handle = ".lcn-explore input[type=range]"
    if page.script("return !!document.querySelector(arguments[0])", handle):
        at_end = page.script("const e = document.querySelector(arguments[0]); e.focus();"
                             " return e.value === e.max", handle)
        frame = f"document.querySelector('{handle}').closest('.lcn-explore')" \
                ".querySelector('.lcn-frame').dataset.frame"
        before = page.script(f"return {frame}")
        page.press("ArrowLeft" if at_end else "ArrowRight")
        page.wait(f"return {frame} !== arguments[0]", before)
    handle = "[data-picture] [role=slider]"
    if page.script("return !!document.querySelector(arguments[0])", handle):
        told = f"document.querySelector('{handle}').getAttribute('aria-valuetext')"
        before = page.script(f"document.querySelector('{handle}').focus(); return {told}")
        page.press("ArrowUp", "ArrowRight")  # up first: right leads from a painted cell to the next
        page.wait(f"return {told} !== arguments[0]", before)
        words = "document.querySelector('[data-picture] .lcn-caption').textContent"
        assert len(page.script(f"return {words}")) > 20


def keeps_its_place(page, place):
    page.script("return new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")
    top, bar, foot, at_end = page.script("""
        const bar = document.querySelector(".bd-header-article").getBoundingClientRect();
        return [document.getElementById(arguments[0]).getBoundingClientRect().top, bar.bottom,
                innerHeight, scrollY + innerHeight > document.documentElement.scrollHeight - 2];
        """, place)
    assert bar > 20  # it sticks to the top
    assert bar <= top < (foot if at_end else 130)


# The rules for paper as those of the screen, in a window as wide as the text on A4.
LIKE_PAPER = """
for (const sheet of document.styleSheets) {
  const media = [sheet, ...sheet.cssRules].map(r => r.media).filter(m => m && m.mediaText);
  for (const m of media) {
    if (/\\bprint\\b/.test(m.mediaText)) m.mediaText = "all";
    else if (/\\bscreen\\b/.test(m.mediaText)) m.mediaText = "not all";
  }
}
document.body.style.width = "680px";
dispatchEvent(new Event("beforeprint"));
"""
SHOWN = """const shown = s => [...document.querySelectorAll(s)].filter(e => e.checkVisibility
  ? e.checkVisibility({visibilityProperty: true}) : e.getClientRects().length);
const start = e => e.outerHTML.slice(0, 160);
"""


def test_paper_is_light_and_whole(visit):
    page = visit(PAPER)
    page.script("document.documentElement.dataset.theme = 'dark'")
    page.script(LIKE_PAPER)
    assert page.script("return document.documentElement.dataset.theme") == "light"
    for gone in (".skip-link", ".pst-skip-link", ".bd-header-article", ".bd-header", ".bd-footer",
                 ".bd-footer-content", ".bd-sidebar", "details.hide", ".toggle-button", ".copybtn",
                 ".headerlink", ".toggle-details__summary-text", "input[type=range]"):
        assert page.script(f"{SHOWN} return shown(arguments[0]).map(start)", gone) == [], gone
    # Nothing lies over the text of each sheet, and no line ends outside.
    assert page.script(SHOWN + """return shown("body *").filter(e =>
        /fixed|sticky/.test(getComputedStyle(e).position)).map(start)""") == []
    assert page.script(SHOWN + """return shown(".highlight pre, .cell_output pre").filter(e =>
        e.scrollWidth > e.clientWidth + 1).map(start)""") == []
    assert page.script("return document.querySelector('main details:not([open], .hide)')") is None
    assert page.script(f"{PROBES}\nreturn probes.pale()") == []
    assert page.script(SHOWN + """return shown("main pre, main figure, main .admonition, body")
        .filter(e => { const [r, g, b, a = 1] = getComputedStyle(e).backgroundColor
                         .match(/[\\d.]+/g).map(Number);
                       return a > 0.5 && Math.min(r, g, b) < 200; }).map(start)""") == []
    page.script("dispatchEvent(new Event('afterprint'))")
    assert page.script("return document.documentElement.dataset.theme") == "dark"


def test_a_printed_chapter_is_light_and_lacks_no_word(visit):
    page = visit(PAPER)
    if not hasattr(page, "paper"):
        pytest.skip(f"{page.name}: its driver cannot print; the rules for paper are tested above")
    page.script("""document.documentElement.dataset.theme = "dark";
        addEventListener("beforeprint",
                         () => { window.printed = document.documentElement.dataset.theme; });""")
    code = page.script("return [...document.querySelectorAll('.highlight pre')]"
                       ".filter(e => !e.closest('details')).map(e => e.textContent)")
    sheets = pypdf.PdfReader(io.BytesIO(page.paper())).pages
    assert page.script("return window.printed") == "light"
    assert page.script("return document.documentElement.dataset.theme") == "dark"
    text = "".join("".join(sheet.extract_text() for sheet in sheets).split())
    for words in ("Skip to main content", "Click to", "Show code cell", "Print to PDF"):
        assert "".join(words.split()) not in text
    lacking = [line for cell in code for line in cell.splitlines()
               if "".join(line.split()) not in text]
    assert code and not lacking, "\n".join(lacking)
