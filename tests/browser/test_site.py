"""The built book as a set of files: links, the way in, and reading without a web server."""

import re
from urllib.parse import unquote, urlsplit

import pytest
from browser import settled
from bs4 import BeautifulSoup


def test_links_and_fragments_resolve(html, pages):
    ids, links = {}, []
    for name in pages:
        text = (html / name).read_text(encoding="utf-8")
        # Reading drawings takes most of the time; nothing links to or from their insides.
        soup = BeautifulSoup(re.sub(r"<svg.*?</svg>", "", text, flags=re.S), "html.parser")
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
    settled(page, (html / names[0]).resolve().as_uri())
    assert page.locator("mjx-container").count() or not page.locator("span.math").count()
    handle = page.locator(".lcn-explore input[type=range]").first
    shown = page.locator(".lcn-explore svg:visible").first
    before = shown.inner_html()
    handle.focus()
    page.keyboard.press("ArrowRight" if handle.input_value() == "0" else "ArrowLeft")
    assert shown.inner_html() != before
    page.close()
