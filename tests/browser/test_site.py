"""The built book as a set of files: links, the way in, and reading without a web server."""

import hashlib
import re
from urllib.parse import unquote, urlsplit

import pytest
from browser import settled
from test_publishing import parsed


def test_links_and_fragments_resolve(html, pages):
    ids, links = {}, []
    for name in pages:
        soup = parsed(html / name)
        ids[(html / name).resolve()] = {e["id"] for e in soup.select("[id]")}
        links += [(name, e.get("href") or e.get("src")) for e in soup.select("a[href], img[src]")]
    broken = []
    for name, link in links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (html / name).parent / unquote(parts.path) if parts.path else html / name
        target = target.resolve()
        if target.is_dir():
            target /= "index.html"
        fragment = unquote(parts.fragment)
        if not target.exists():
            broken.append(f"{name}: {link} leads to no file")
        elif fragment and target in ids and fragment not in ids[target]:
            broken.append(f"{name}: {link} leads to no such place")
    assert not broken, "\n".join(sorted(set(broken)))


def test_ids_are_unique_and_titles_say_a_thing_once(html, pages):
    faults = []
    for name in pages:
        soup = parsed(html / name)
        ids = [e["id"] for e in soup.select("[id]")]
        faults += [f"{name}: id {i} repeats" for i in sorted({i for i in ids if ids.count(i) > 1})]
        parts = soup.title.text.split(" \u2014 ") if soup.title else []
        if len(parts) != len(set(parts)):
            faults.append(f"{name}: {soup.title.text}")
    assert not faults, "\n".join(faults)


def test_statements_of_a_chapter_share_one_counter(html):
    kinds = "Theorem|Definition|Proposition|Lemma|Corollary|Remark|Example|Conjecture|Algorithm"
    for path in sorted(html.glob("book/[0-9]*.html")):
        soup = parsed(path)
        found = [e.text.strip() for e in soup.select("div.proof > p.admonition-title > "
                                                     "span.caption-number")]
        numbers = [int(w.rsplit(".", 1)[1]) for w in found
                   if re.fullmatch(rf"({kinds}) \d+\.\d+", w)]
        assert numbers == list(range(1, len(numbers) + 1)), f"{path.name}: {found}"


def test_front_door_leads_to_the_landing_page(chromium, base):
    page = chromium.new_page()
    page.goto(base)
    page.wait_for_url(base + "book/index.html")
    page.close()


def test_works_from_the_file_system(chromium, html, pages):
    names = [n for n in pages if 'class="lcn-explore"' in (html / n).read_text("utf-8")]
    if not names:
        pytest.fail("no page of the book holds a widget")
    page = chromium.new_page()
    wrong = []
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    settled(page, (html / names[0]).resolve().as_uri())
    assert page.locator("mjx-container").count() or not page.locator("span.math").count()
    handle = page.locator(".lcn-explore input[type=range]").first
    shown = page.locator(".lcn-explore svg:visible").first
    before = shown.inner_html()
    handle.focus()
    page.keyboard.press("ArrowRight" if handle.input_value() == "0" else "ArrowLeft")
    assert shown.inner_html() != before
    page.close()
    assert not wrong, "\n".join(wrong)  # the policy lets a file load the files beside it


def test_every_page_has_a_policy_and_no_handler_in_a_tag(html):
    for name in html.rglob("*.html"):
        if name.relative_to(html).parts[0] in ("_static", "lite"):
            continue
        text = re.sub(r"<svg.*?</svg>|<script.*?</script>", "", name.read_text("utf-8"), flags=re.S)
        before, policy, after = text.partition("Content-Security-Policy")
        assert policy and not re.search(r"<(script|link|style)", before), name
        assert re.search(r"default-src 'self'; object-src 'none'; script-src 'self'", after), name
        assert "unsafe-inline" not in after[after.index("script-src"):after.index("style-src")]
        assert not (found := re.findall(r"<[^>]*\son\w+=[^>]*>", text)), f"{name}: {found}"
        assert "javascript:" not in text, name


def test_a_button_of_the_theme_still_answers(chromium, base):
    page = chromium.new_page()
    page.add_init_script("window.print = () => { window.printed = true; }")
    settled(page, base + "book/01_polynomials.html")
    page.locator(".dropdown-download-buttons > button").click()
    page.locator(".btn-download-pdf-button").click()
    assert page.evaluate("window.printed")
    page.close()


def test_downloads_have_their_hashes(html):
    lines = (html / "_sources" / "SHA256SUMS").read_text().splitlines()
    sums = {name: found for found, name in (line.split("  ", 1) for line in lines)}
    notebooks = {p.relative_to(html / "_sources").as_posix()
                 for p in html.glob("_sources/book/*.ipynb")}
    assert len(notebooks) >= 8 and notebooks <= set(sums)
    for name, found in sums.items():
        path = html / "_sources" / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == found, name
