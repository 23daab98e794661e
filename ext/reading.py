"""What makes the book's references quick to follow: permalinks, cards, and answers to a search.

Statements and exercises get a permalink, as headings and figures have one.  What a link can lead
to is cut out of the written pages into ``_static/cards``, one script for each page (no script may
read another file of a book that is opened from a folder): assets/cards.js shows it beside the
link.  A list of all statements, figures, exercises, words and functions goes to
``_static/answers.js``: assets/search.js looks there first.
"""

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

FOLDER, ANSWERS, LATER = "cards", "answers.js", "mathjax-later.js"
HEAVY = 20_000  # a card of more characters, that is a picture, is a script of its own
BOX = re.compile(r'(<div class="(?:proof|exercise)\b[^"]*\badmonition" id="([\w-]+)">'
                 r'(?:\s|<span id="[^"]*"></span>)*<p class="admonition-title">'
                 r'<span class="caption-number">(.*?)</span>.*?)(</p>)', re.S)
TAG = re.compile(r"""<(/?)([a-zA-Z][\w-]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>""")
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "wbr"}
DRAWING = re.compile(r"<svg\b.*?</svg>", re.S)
# A symbol of TeX that a reader may type in letters.
LETTERS = re.compile(r"\\(delta|mu|theta|sigma|lambda|alpha|Sigma|ell|nabla)(?![a-zA-Z])")


def add_permalinks(app, pagename, templatename, context, doctree):
    if app.builder.format == "html" and "body" in context:
        context["body"] = BOX.sub(
            lambda box: f'{box[1]}<a class="headerlink" href="#{box[2]}" '
                        f'aria-label="Link to {box[3].strip()}">#</a>{box[4]}', context["body"])


@dataclass
class Element:
    """An element of a page, and where in its text it stands."""

    tag: str
    attributes: str
    start: int
    inner: int
    up: "Element"
    end: int = 0

    def get(self, name):
        found = re.search(rf'\b{name}="([^"]*)"', self.attributes)
        return unescape(found[1]) if found else ""

    def has(self, *classes):
        return set(classes) <= set(self.get("class").split())


def elements(text):
    """The elements of a page in the order in which they begin."""
    found, top = [], None
    for mark in TAG.finditer(text):
        closing, tag, attributes = mark.groups()
        if not closing:
            element = Element(tag, attributes, mark.start(), mark.end(), top, mark.end())
            found.append(element)
            if tag not in VOID and not attributes.endswith("/"):
                top = element
            continue
        at = top
        while at and at.tag != tag:
            at = at.up
        if at:
            at.end, top = mark.end(), at.up
    return found


def words(html):
    """What is read of some HTML, formulas without the marks of TeX."""
    html = re.sub(r'<a class="headerlink".*?</a>', "", html, flags=re.S)
    text = unescape(re.sub(r"<[^>]*>", "", html))
    text = LETTERS.sub(r" \1 ", re.sub(r"\\[()[\]]", "", text))
    text = re.sub(r"\\[a-zA-Z]+|[\\{}$^]", " ", text)
    return " ".join(text.split())


def sentence(html):
    """The first sentence of some HTML, with what is open in it closed by then."""
    depth, last = 0, 0
    for mark in [*TAG.finditer(html), None]:
        text = html[last:mark.start() if mark else len(html)]
        if not depth and (end := re.search(r"[.:?!](?=\s|$)", text)):
            return html[:last + end.start()]
        if mark:
            depth, last = depth + (-1 if mark[1] else mark[2] not in VOID), mark.end()
    return html


class Page:
    """A written page: what in it has an id, and the card of each."""

    def __init__(self, text):
        title = re.search(r"<title>(.*?)(?: &#8212; .*?)?</title>", text, re.S)
        self.title = unescape(title[1]).strip() if title else ""
        main = re.search(r'<article class="bd-article".*?</article>', text, re.S)
        text = re.sub(r"<script\b.*?</script>", "", main[0] if main else "", flags=re.S)
        self.drawings = DRAWING.findall(text)
        count = iter(range(len(self.drawings)))
        self.text = DRAWING.sub(lambda _: f"<svg data-n=\"{next(count)}\"></svg>", text)
        self.elements = elements(self.text)
        self.at = {e.get("id"): e for e in self.elements if e.get("id")}

    def html(self, element, inner=False):
        """Its text without what a copy must not have."""
        start, end = element.start, element.end
        if inner:
            start, end = element.inner, end - len(f"</{element.tag}>")
        text = re.sub(r'<a class="headerlink".*?</a>', "", self.text[start:end], flags=re.S)
        text = re.sub(r'<span [^>]*\bid="[^"]*"[^>]*></span>', "", text)
        text = re.sub(r' (?:id|title|aria-labelledby|role)="[^"]*"', "", text)

        def drawing(place):  # one page must not have an id twice
            return re.sub(r'(id="|url\((?:&quot;)?#|href="#)', r"\1card-",
                          self.drawings[int(place[1])])

        return re.sub(r'<svg data-n="(\d+)"></svg>', drawing, text).strip()

    def following(self, element, tag):
        """The next element of this kind after it, beside it."""
        return next((e for e in self.elements if e.start >= element.end and e.tag == tag
                     and e.up is element.up), None)

    def below(self, element, *tags):
        """The first of these that is in it."""
        return next((e for e in self.elements if element.start < e.start < element.end
                     and e.tag in tags), None)

    def kind(self, element):
        if element.has("proof", "admonition") and "caption-number" in self.html(element):
            return "statement"
        for name in ("exercise", "citation"):
            if element.has(name):
                return name
        if element.tag == "dt":
            return "function" if element.has("sig") else "word"
        return {"figure": "figure", "section": "section", "p": "text"}.get(
            element.tag, "equation" if element.has("math") else "")

    def carrier(self, name):
        """What is meant by an id: the element, or the one that begins with this mark."""
        element = self.at[name]
        while element and not self.kind(element):
            if element.tag != "span":
                return None
            element = element.up
        return element

    def card(self, name):
        """The HTML of a card; "" for what has none."""
        element = self.carrier(name)
        if element is None:
            return ""
        kind = self.kind(element)
        if kind in ("word", "function"):
            text = self.following(element, "dd")
            head = f'<p class="lcn-card-title">{self.html(element, inner=True)}</p>'
            if kind == "word":
                return head + (self.html(text, inner=True) if text else "")
            first = text and self.below(text, "p")
            return head + (self.html(first) if first else "")
        if kind == "section":
            head = self.below(element, "h1", "h2", "h3", "h4")
            first = self.below(element, "p")
            if not head or not first:
                return ""
            return (f'<p class="lcn-card-title">{self.html(head, inner=True)}</p>'
                    f"{self.html(first)}")
        return self.html(element)

    def words_used(self):
        """(word of the glossary, (section, its title)) of each link to one."""
        for link in self.elements:
            word = re.search(r"#(term-.*)", link.get("href")) if link.tag == "a" else None
            if word and not link.has("headerlink"):
                section = link.up
                while section and not (section.tag == "section" and section.get("id")):
                    section = section.up
                if section and (head := self.below(section, "h1", "h2", "h3", "h4")):
                    yield word[1], (section.get("id"), words(self.html(head)))

    def answer(self, name):
        """(kind, name, title, words) of what a search finds; None for what is no answer."""
        element = self.carrier(name)
        kind = element and self.kind(element)
        if element is None or element is not self.at[name]:
            return None
        if kind in ("statement", "exercise"):
            title = self.below(element, "p")
            number = self.below(title, "span")
            rest = self.html(title, inner=True).split("</span>", 1)[1].strip()
            rest = rest.removeprefix("(").removesuffix(")")
            body = words(self.text[title.end:element.end])
            return kind, words(self.html(number)), rest, body
        if kind == "figure" and (caption := self.below(element, "figcaption")):
            number = self.below(caption, "span")
            if number and number.has("caption-number"):
                text = self.html(self.following(number, "span"), inner=True)
                return kind, words(self.html(number)), sentence(text), words(text)
        if kind == "section" and (head := self.below(element, "h1", "h2", "h3")):
            title = self.html(head, inner=True)
            number = re.match(r'<span class="section-number">(.*?)\.? *</span>', title)
            return kind, number[1] if number else "", title[number.end() if number else 0:], ""
        if kind == "equation" and (number := self.below(element, "span")):
            return kind, f"Equation {words(self.html(number))}", "", ""
        if kind == "word":
            text = self.following(element, "dd")
            return kind, "", self.html(element, inner=True), words(self.html(text)) if text else ""
        if kind == "function":
            text = self.following(element, "dd")
            first = text and self.below(text, "p")
            return kind, name, escape(name), words(self.html(first)) if first else ""
        return None


def script(function, *arguments):
    text = ", ".join(json.dumps(a, ensure_ascii=False, separators=(",", ":")) for a in arguments)
    return f"{function}({text});\n"


def read(text, docname, out):
    """Write the cards of a page to the file `out`; its title, answers and words used."""
    page, cards, answers = Page(text), {}, []
    for name in page.at:
        if card := page.card(name):
            cards[name] = card
        if found := page.answer(name):
            kind, number, title, words = found
            title = re.sub(r"</?a\b[^>]*>", "", title)  # the answer is a link
            answers.append([kind, number, title, words, docname, name])
    shutil.rmtree(out.with_suffix(""), ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    for name in [n for n, card in cards.items() if len(card) > HEAVY]:
        own = out.with_suffix("") / f"{name}.js"
        own.parent.mkdir(exist_ok=True)
        own.write_text(script("lcnCards", docname, page.title, {name: cards[name]}), "utf-8")
        cards[name] = 0
    out.write_text(script("lcnCards", docname, page.title, cards), encoding="utf-8")
    return page.title, answers, list(page.words_used())


def write(html, docnames, memory):
    """Write the cards and answers of the written pages in the folder `html`.

    The file `memory` keeps what is known of a page, by its hash, from one build to the next.
    """
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
    answers, titles, used, now = [], {}, {}, {}
    for docname in docnames:
        path, out = html / f"{docname}.html", html / "_static" / FOLDER / f"{docname}.js"
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        key = hashlib.sha256(text.encode()).hexdigest()
        there = known.get(docname, [""])[0] == key and out.exists()
        now[docname] = known[docname] if there else [key, *read(text, docname, out)]
        _, titles[docname], found, words = now[docname]
        answers += found
        for word, place in words:
            used.setdefault(word, [docname, *place])
    for gone in known.keys() - now.keys():
        out = html / "_static" / FOLDER / f"{gone}.js"
        out.unlink(missing_ok=True)
        shutil.rmtree(out.with_suffix(""), ignore_errors=True)
    memory.write_text(json.dumps(now), encoding="utf-8")
    answers = [a + used.get(a[-1], []) if a[0] == "word" else a for a in answers]
    (html / "_static" / ANSWERS).write_text(script("lcnAnswers", answers, titles),
                                            encoding="utf-8")


def finish(app, exception):
    if exception or app.builder.name != "html":
        return
    write(Path(app.outdir), sorted(app.env.found_docs), Path(app.doctreedir, "cards.json"))
    # A page without formulas has no MathJax; a card of it may need one.
    settings = json.dumps(app.config.mathjax3_config)
    Path(app.outdir, "_static", LATER).write_text(
        f"window.MathJax = Object.assign({settings}, {{ startup: {{ typeset: false }} }});\n",
        encoding="utf-8")


def load(app, pagename, templatename, context, doctree):
    if pagename == "search":
        app.add_js_file("search.js")


def setup(app):
    app.connect("html-page-context", add_permalinks)
    app.connect("html-page-context", load)
    app.connect("build-finished", finish, priority=950)  # when pages are as they stay
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
