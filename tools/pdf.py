"""The whole book as one PDF, printed by a headless Chromium from the built pages.

usage: python tools/pdf.py [BUILT_HTML [OUT.pdf [PAGE ...]]]       (PAGE like book/index.html)

Every page is opened and typeset; its widgets become small multiples, its solutions move to the end
of the chapter, what is folded is opened, but for drawing code, which is left out (``pdf.js``).  The
articles are then joined in one document, in the order of the table of contents, in which links
between pages are links between sheets.
"""

import contextlib
import os
import re
import sys
from pathlib import Path

import pypdf
import yaml
from browser import chromium, serve, settled
from pypdf.generic import NameObject, TextStringObject

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "ext"))
import publishing  # noqa: E402

PREPARE = (ROOT / "tools" / "pdf.js").read_text(encoding="utf-8")
STYLE = """
  @page { size: A4; margin: 16mm 14mm; }
  html, body { background: white; font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  main > article { break-before: page; }
  .print-multiples { break-inside: auto; }
  .print-multiples > div, div.cell_output svg { break-inside: avoid; }
  .print-multiples { display: grid; grid-template-columns: 1fr 1fr; gap: 4mm; margin-top: 4mm; }
  .print-wide { grid-template-columns: 120mm; justify-content: center; }
  .print-multiples svg { width: 100%; height: auto; overflow: visible; }
  .print-multiples p { text-align: center; font-size: 9pt; margin: 0; }
  pre, code, span.pre { white-space: pre-wrap !important; overflow-wrap: anywhere; }
  .highlight, .cell_output, .math, mjx-container { overflow: visible !important; }
  /* A shadow would be drawn on the sheet before, too; a lower picture leaves smaller gaps. */
  main { --pst-color-shadow: transparent; }
  svg.lcn-figure:not(.print-tall) { max-height: 125mm; }
  summary { list-style: none; font-weight: bold; }
"""


def pages():
    """The pages of the book, in the order of its table of contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"]
                           if "file" in c)]


def own_names(html, page, names):
    """The article's ids made its own, and its links to pages of the book made links inside."""
    mine = names[page]

    def link(match):
        target = match[1]
        if re.match(r"[a-z]+:", target):
            return match[0]
        path, _, fragment = target.partition("#")
        if not path:
            return f'href="#{mine}-{fragment}"'
        base = page.rpartition("/")[0]
        name = str(Path(base, path).with_suffix("")) if path.endswith(".html") else None
        if name and name in names:
            return f'href="#{names[name]}-{fragment}"' if fragment else f'href="#{names[name]}"'
        return ""

    html = re.sub(r'href="([^"]*)"', link, html)
    html = re.sub(r'(?<= id=")([^"]*)', rf"{mine}-\1", html)
    html = re.sub(r'((?:aria-labelledby|aria-describedby|for)=")([^"]*)', rf"\1{mine}-\2", html)
    return re.sub(r"url\((&quot;)?#", rf"url(\1#{mine}-", html)


def name_outline(path, titles):
    """Chromium writes some headings twice into the outline: give it their words as they are."""
    book = pypdf.PdfWriter(clone_from=path)
    titles = iter(titles)

    def walk(entry):
        while entry is not None:
            entry = entry.get_object()
            entry[NameObject("/Title")] = TextStringObject(next(titles))
            if "/First" in entry:
                walk(entry["/First"])
            entry = entry.get("/Next")

    walk(book.root_object["/Outlines"]["/First"])
    book.write(path)


def offer(html, out):
    """Put a link to the printed book on the built landing page, under what is to be looked up.

    It is there only when there is a file behind it: the next `make book` writes the page anew.
    """
    path = html / f"{pages()[0]}.html"
    text = re.sub(r'<li class="lcn-pdf">.*?</li>\n', "", path.read_text(encoding="utf-8"))
    link = Path(os.path.relpath(out, path.parent)).as_posix()
    item = (f'<li class="lcn-pdf"><p><a class="reference internal" href="{link}">The book on paper'
            f"</a> (PDF, {out.stat().st_size / 1e6:.0f} MB): pictures side by side, solutions at "
            "the end of each chapter.</p></li>\n")
    section = re.search(r'<section id="what-is-where">.*?</section>', text, re.S)
    place = section[0].rfind("</ul>") if section else -1
    if place < 0:
        sys.exit(f"{path}: expected a section 'What is where' with a list, to link the PDF there.")
    place += section.start()
    path.write_text(text[:place] + item + text[place:], encoding="utf-8")


def main(html=ROOT / "_build/html", out=None, *chosen, browser=None):
    """Print the pages; `browser` is one that runs already (one process cannot have two)."""
    html = Path(html)
    out = Path(out) if out else html / "_static" / "book.pdf"
    chosen = [Path(c).with_suffix("").as_posix() for c in chosen] or pages()
    names = {page: f"s{i}" for i, page in enumerate(chosen)}
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    with (serve(html) as base,
          contextlib.nullcontext(browser) if browser else chromium() as browser):
        context = browser.new_context(viewport={"width": 1000, "height": 1400},
                                      color_scheme="light", bypass_csp=True)
        # Paper has the drawing of lcnlib that a picture to drag would replace.
        context.route("**/_static/explorables.js*", lambda route: route.abort())
        page, articles, rules = context.new_page(), [], {}
        head = ""
        for name in chosen:
            settled(page, f"{base}{name}.html")
            head = head or page.evaluate(
                "() => [...document.querySelectorAll('link[rel=stylesheet]')]"
                ".map(l => `<link rel=stylesheet href='${l.href}'>`).join('')")
            made = page.evaluate(PREPARE)
            for text in made["style"]:
                rules.update(dict.fromkeys(text.splitlines()))
            text = own_names(made["html"], name, names)
            articles.append(f'<article class="bd-article" id="{names[name]}">{text}</article>')
            print(made["title"], flush=True)
        title = config["title"]
        document = (
            f'<!doctype html><html lang="en" data-theme="light" data-mode="light"><head>'
            f'<meta charset="utf-8"><title>{title}</title>{head}'
            f'<style>{chr(10).join(rules)}</style><style>{STYLE}</style></head>'
            f'<body><main class="bd-content">{"".join(articles)}</main></body></html>')
        printed = html / "_static" / f"print-{os.getpid()}.html"  # two may print at a time
        printed.write_text(document, encoding="utf-8")
        try:
            page.goto(f"{base}_static/{printed.name}", wait_until="load", timeout=600_000)
            page.evaluate("async () => { await document.fonts.ready; }")
            titles = page.evaluate("""() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
                .map(h => h.textContent.replace(/\\s+/g, " ").trim())""")
            out.parent.mkdir(parents=True, exist_ok=True)
            page.pdf(path=str(out), prefer_css_page_size=True, outline=True, tagged=True,
                     print_background=True, display_header_footer=True, header_template="<span/>",
                     footer_template='<div style="font-size:8px;width:100%;text-align:center">'
                                     '<span class="pageNumber"></span></div>')
        finally:
            printed.unlink()
            context.close()
    name_outline(out, titles)
    if out == html / "_static" / "book.pdf":
        offer(html, out)
        publishing.hashes(html)
    print(f"The book on paper: {out}, {out.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
