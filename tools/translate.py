"""The book's pages for Jupyter, which knows Markdown and TeX but none of the book's directives.

Statements and exercises become quotations with the numbers of the pages, long proofs, answers and
solutions fold, references lead to the place in this notebook or another one, citations to the
bibliography, words to the glossary.  Macros are written out, so that every formula stands alone:
in JupyterLab, VS Code, Colab, nbviewer and GitHub.  Code cells stay as they are; what the page
folds is folded here too.
"""

import functools
import hashlib
import html
import posixpath
import re
from pathlib import Path

import nbformat
import yaml
from pybtex.database import parse_file
from pybtex.plugin import find_plugin

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^( *)(`{3,}|:{3,})\{([\w:-]+)\}[ ]*(.*)$")
ROLE = re.compile(r"\{([\w:-]+)\}`([^`]*)`")
TARGET = re.compile(r"^\(([\w-]+)\)=$", re.M)
INSIDE = re.compile(r"\[([^\]\n]*)\]\((?!\w+:)#?([\w-]+)\)")  # [words](label)
NUMBERED = re.compile(r"^( *)\$\$ *\(([\w-]+)\)", re.M)
COMMENT = re.compile(r"[ \t]*<!--.*?-->", re.S)
# Code spans and fenced code, which hold no mathematics; then displayed and running mathematics.
CODE_OR_MATH = re.compile(
    r"(^ *(`{3,})(?!\{)[^\n]*\n.*?^ *\2`*$|(?<!`)(`+)(?!`).*?(?<!`)\3(?!`))"
    r"|(\$\$.*?\$\$|\\begin\{(\w+\*?)\}.*?\\end\{\5\}|(?<![\\$])\$(?!\$)(?:\\.|[^$\\])+\$)",
    re.S | re.M)
FENCED = re.compile(r"(^ *```+[^{\n`]*\n(?:.*\n)*? *```+$)", re.M)
SILENT = {"index", "solution-end", "tableofcontents", "toctree"}
HIDDEN = {"hide-input", "remove-input", "hide-cell", "remove-cell"}
FOLDED = "A bar beside the text is folded code; a click unfolds it."
START = f"*To bring the sliders to life: menu Run, Run All Cells. {FOLDED}*"
HEAD = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}}


def directives(text):
    """Split text in strings and directives (name, argument, options, body), outermost only."""
    lines, plain, k = text.split("\n"), [], 0
    while k < len(lines):
        if not (start := FENCE.match(lines[k])):
            plain.append(lines[k])
            k += 1
            continue
        indent, fence, name, argument = start.groups()
        end = next((j for j in range(k + 1, len(lines)) if lines[j].strip().startswith(fence)
                    and set(lines[j].strip()) == {fence[0]}), len(lines))
        body = [line.removeprefix(indent) for line in lines[k + 1:end]]
        options = {}
        while body and (option := re.match(r":([\w-]+): *(.*)$", body[0])):
            options[option[1]] = option[2]
            body.pop(0)
        if plain:
            yield "\n".join(plain)
        plain = []
        yield name, argument.strip(), options, "\n".join(body).strip("\n")
        k = end + 1
    if plain:
        yield "\n".join(plain)


def kind(name):
    """Theorem, Proof, Exercise: what a directive is called in the text."""
    return name.removeprefix("prf:").removesuffix("-start").capitalize()


def counted(name):
    return name == "exercise" or (name.startswith("prf:") and name != "prf:proof")


def expanded(tex, macros):
    """TeX with the macros written out; `macros` is {name: (meaning, number of arguments)}."""
    out, k = [], 0
    while k < len(tex):
        found = re.compile(r"\\([a-zA-Z]+|.)", re.S).match(tex, k)
        if not found:
            out.append(tex[k])
            k += 1
            continue
        k = found.end()
        if found[1] not in macros:
            out.append(found[0])
            continue
        meaning, count = macros[found[1]]
        for i in range(count):
            argument, k = _argument(tex, k)
            meaning = meaning.replace(f"#{i + 1}", argument)
        meaning = expanded(meaning, macros)
        before = "".join(out).rstrip()
        if before.endswith(("^", "_")) and not before.endswith((r"\^", r"\_")):
            meaning = "{" + meaning + "}"
        elif re.search(r"\\[a-zA-Z]+$", meaning) and tex[k:k + 1].isalpha():
            meaning += " "
        out.append(meaning)
    return "".join(out)


def _argument(tex, k):
    """The TeX argument that starts at k, without braces, and where it ends."""
    while tex[k:k + 1].isspace():
        k += 1
    if tex[k:k + 1] != "{":
        found = re.compile(r"\\[a-zA-Z]+|\\.|.", re.S).match(tex, k)
        return found[0], found.end()
    depth = 0
    for j in range(k, len(tex)):
        if tex[j] == "\\":
            continue
        escaped = tex[j - 1] == "\\" and tex[j - 2] != "\\"
        depth += (tex[j] == "{" and not escaped) - (tex[j] == "}" and not escaped)
        if not depth:
            return tex[k + 1:j], j + 1
    raise ValueError(f"a brace is not closed in {tex[k:k + 60]!r}")


def in_html(text):
    """Markdown of one line as HTML, for a summary, whose inside Markdown leaves alone."""
    kept = []

    def keep(found):
        kept.append(f"<code>{html.escape(found[1].strip('`'), quote=False)}</code>" if found[1]
                    # A "<" would begin a tag.
                    else re.sub(" *< *", r" \\lt ", found[0]).replace(">", r" \gt "))
        return f"\0{len(kept) - 1}\0"

    # Bold words may have formulas and code in them.
    text = html.escape(CODE_OR_MATH.sub(keep, text), quote=False)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"(?<!\w)\*(.+?)\*(?!\w)", r"<em>\1</em>", text)
    text = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', text)
    return re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], text)


def fold(summary, body):
    return f"<details>\n<summary>{in_html(summary)}</summary>\n\n{body}\n\n</details>"


def quotation(body):
    return f"<blockquote>\n\n{body}\n\n</blockquote>"


def anchor(label):
    return f'<a id="{label}"></a>\n\n' if label else ""


class Book:
    """All pages of a book: what their labels mean, and their text for Jupyter.

    Parameters
    ----------
    root : Path
        The folder that holds _config.yml and _toc.yml.
    """

    def __init__(self, root=ROOT):
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
        sphinx = config["sphinx"]["config"]
        macros = sphinx["mathjax3_config"]["tex"]["macros"]
        self.macros = {name: (m, 0) if isinstance(m, str) else tuple(m)
                       for name, m in macros.items()}
        self.shared = sphinx.get("prf_realtyp_to_countertyp", {})
        self.bib = parse_file(str(root / config["bibtex_bibfiles"][0]))
        toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
        parts = toc.get("parts") or [{"chapters": toc.get("chapters", [])}]
        self.paths, self.titles, self.number = {}, {}, {}
        self.words, self.home, self.terms = {}, {}, {}
        self.figures = {}  # label -> caption
        self._add(root, toc["root"], None)
        chapter = 0
        for part in parts:
            for entry in part["chapters"]:
                if "file" not in entry:  # an address
                    continue
                numbered = part.get("numbered") or part.get("options", {}).get("numbered")
                chapter += bool(numbered)
                self._add(root, entry["file"], chapter if numbered else None)
        counts = {}
        for stem in self.paths:
            self._read(stem, counts)

    def _add(self, root, file, number):
        path = next((p for suffix in (".ipynb", ".md") if (p := root / (file + suffix)).exists()),
                    None)
        if path:
            self.paths[path.stem], self.number[path.stem] = path, number

    @functools.cache  # noqa: B019
    def cells(self, stem):
        """The cells of a page; one of Markdown has a cell for each section."""
        path = self.paths[stem]
        if path.suffix == ".ipynb":
            return nbformat.read(path, as_version=4).cells
        text = path.read_text(encoding="utf-8").removeprefix("---\n---\n")
        text = re.sub(
            r'^```\{include\} (\S+)\n:start-after: "(.+)"\n```$',
            lambda f: (path.parent / f[1]).read_text(encoding="utf-8").partition(f[2])[2].strip(),
            text, flags=re.M)
        pieces = re.split(r"(?<!\)=)\n(?=(?:\([\w-]+\)=\n)*## )", text)
        return [nbformat.v4.new_markdown_cell(piece) for piece in pieces]

    @functools.cache  # noqa: B019
    def readable(self, stem):
        """Whether the page can be shown in Jupyter: those made from docstrings cannot."""
        return not any(re.search(r"\{(eval-rst|auto\w+|statement-table)\}", c.source)
                       for c in self.cells(stem) if c.cell_type == "markdown")

    def _read(self, stem, counts):
        """Note what the labels of a page mean; `counts` is what unnumbered pages share."""
        number = self.number[stem]
        counts = counts if number is None else {}

        def count(what):
            counts[what] = counts.get(what, 0) + 1
            return f"{counts[what]}" if number is None else f"{number}.{counts[what]}"

        def note(label, words):
            if label:
                self.home[label], self.words[label] = stem, words

        def walk(text):
            for part in directives(text):
                if isinstance(part, str):
                    for target in TARGET.finditer(part):
                        rest = part[target.end():].lstrip("\n")
                        title = re.match(r"#+ (.*)", TARGET.sub("", rest).lstrip("\n"))
                        note(target[1], title[1] if title else target[1])
                    for _, label in NUMBERED.findall(CODE_OR_MATH.sub(
                            lambda m: "" if m[1] else m[0], part)):
                        note(label, f"({count('equation')})")
                    continue
                name, _, options, body = part
                if counted(name) and "nonumber" not in options:
                    typ = name.removeprefix("prf:")
                    note(options.get("label"), f"{kind(name)} {count(self.shared.get(typ, typ))}")
                elif name == "math" and "label" in options:
                    note(options["label"], f"({count('equation')})")
                elif name == "glossary":
                    for term, _ in entries(body):
                        self.terms[term.lower()] = stem
                walk(body)

        cells = self.cells(stem)
        first = next(c.source for c in cells if c.cell_type == "markdown")
        self.titles[stem] = re.search(r"^# (.*)", first, re.M)[1]
        for cell in cells:
            if cell.cell_type == "markdown":
                walk(cell.source)
            elif figure := cell.metadata.get("mystnb", {}).get("figure"):
                if "caption" in figure:
                    note(figure.get("name"), f"Fig. {count('figure')}")

    # Words

    def link(self, words, stem, here, place=""):
        """A link to a page, or to a place in it; plain words where Jupyter cannot show the page."""
        if stem not in self.paths or not self.readable(stem):
            return words
        address = ("" if stem == here else f"{stem}.ipynb") + (f"#{place}" if place else "")
        return f"[{words}]({address or f'{stem}.ipynb'})"

    def cite(self, keys, in_text, here):
        works = []
        for key in keys.replace(" ", "").split(","):
            entry = self.bib.entries[key]
            people = entry.persons.get("author") or entry.persons["editor"]
            names = [" ".join(p.prelast_names + p.last_names).strip("{}") for p in people]
            who = " and ".join(names) if len(names) < 3 else names[0] + " et al."
            year = entry.fields["year"]
            page = "bibliography"
            works.append(f"{who} ({self.link(year, page, here, key)})" if in_text
                         else self.link(f"{who} {year}", page, here, key))
        return ", ".join(works) if in_text else f"({', '.join(works)})"

    def role(self, name, text, here):
        """The plain Markdown for one role."""
        titled = re.fullmatch(r"(.*?)\s*<([^>]+)>", text, re.S)
        shown, target = titled.groups() if titled else ("", text)
        if name in ("cite", "cite:p", "cite:t"):
            return self.cite(text, name == "cite:t", here)
        if name == "doc":
            stem = posixpath.basename(target)
            return self.link(shown or self.titles.get(stem, stem), stem, here)
        if name == "term":
            term = " ".join(target.split())
            return self.link(shown or text, self.terms.get(term.lower(), ""), here, slug(term))
        if target not in self.home:
            return shown or target
        words = self.words[target]
        if name == "numref" and "%s" in shown:
            shown = shown.replace("%s", words.rpartition(" ")[2])
        return self.link(shown or words, self.home[target], here, target)

    def mathematics(self, text):
        """Formulas without macros; equations with a label get their number."""
        text = NUMBERED.sub(
            lambda m: rf"{m[1]}\tag*{{{self.words[m[2]]}}}" f"\n{m[1]}$$"
            if m[2] in self.words else m[0], text)
        return CODE_OR_MATH.sub(lambda m: m[1] or expanded(m[0], self.macros), text)

    def inline(self, text, here):
        """Text without directives, its roles, targets, links and formulas made plain."""
        pieces = FENCED.split(text)
        return "".join(piece if i % 2 else self._inline(piece, here)
                       for i, piece in enumerate(pieces))

    def _inline(self, text, here):
        text = COMMENT.sub("", text)
        text = TARGET.sub(lambda m: f'<a id="{m[1]}"></a>\n', text)
        text = INSIDE.sub(lambda m: self.link(m[1] or self.words[m[2]], self.home[m[2]], here, m[2])
                          if m[2] in self.home else m[0], text)
        text = re.sub(r"\]\(([\w-]+)\.(?:md|ipynb)(#[\w-]+)?\)", r"](\1.ipynb\2)", text)
        text = ROLE.sub(lambda m: self.role(m[1], m[2], here), text)
        return self.mathematics(text)

    def plain(self, text, here, state=None):
        """The text without directives and roles.

        `state` is what the cell before has left open: the words in front of a solution's next
        part.
        """
        state = {} if state is None else state
        parts, inside = [], []

        def close():
            if inside:
                parts.append(fold(state["solution"], "\n\n".join(inside)))
                inside.clear()

        for part in directives(text):
            if isinstance(part, str):
                if part := self.inline(part, here).strip("\n"):
                    (inside if state.get("solution") else parts).append(part)
            elif part[0].startswith("solution-start"):
                of = self.words.get(part[1], "the exercise")
                state["solution"] = f"**Solution of {of}**"
                inside += [body] if (body := self.plain(part[3], here)) else []
            elif part[0] == "solution-end":
                close()
                state.pop("solution", None)
            elif made := self.directive(*part, here):
                (inside if state.get("solution") else parts).append(made)
        if state.get("solution"):
            inside.append("*Its code is in the folded cell below.*")
            close()
        return "\n\n".join(parts)

    def directive(self, name, argument, options, body, here):
        if name in SILENT:
            return ""
        label = options.get("label") or options.get("name", "")
        if name == "glossary":
            return "\n\n".join(f"{anchor(slug(term))}**{self.inline(term, here)}**: "
                               + self.plain(meaning, here) for term, meaning in entries(body))
        if name == "bibliography":
            return self.bibliography()
        if name == "math":
            tag = rf"\tag*{{{self.words[label]}}}" if label in self.words else ""
            return anchor(label) + self.mathematics(f"$$\n{body}\n{tag}\n$$")
        if name in ("code-block", "code", "code-cell"):
            return f"```{argument}\n{body}\n```"
        argument, body = self.inline(argument, here), self.plain(body, here)
        if name == "prf:proof":
            body += "\n\n∎"
            return (fold(f"**Proof{argument and f' ({argument})'}**", body)
                    if "dropdown" in options.get("class", "") else f"*Proof.* {body}")
        if name == "dropdown":
            return fold(f"**{argument}**", body)
        if name == "solution":
            return fold(f"**Solution of {self.words.get(argument, argument)}**", body)
        if counted(name):
            title = self.words.get(label, kind(name)) + (f" ({argument})" if argument else "")
            return anchor(label) + quotation(f"**{title}.** {body}")
        return anchor(label) + quotation(f"**{argument or kind(name)}**\n\n{body}")

    def bibliography(self):
        style = find_plugin("pybtex.style.formatting", "plain")()
        backend = find_plugin("pybtex.backends", "markdown")()
        lines = []
        for entry in style.format_bibliography(self.bib):
            # Braces and escapes of TeX have gone; Markdown's own escapes are not needed.
            text = re.sub(r"\\([-.()!+])", r"\1", entry.text.render(backend))
            lines.append(anchor(entry.key) + text)
        return "\n\n".join(lines)

    # Notebooks

    def notebook(self, stem, executed=None):
        """A page as a notebook that Jupyter shows well.

        Parameters
        ----------
        stem : str
            The page's name.
        executed : NotebookNode, optional
            The same notebook, run: its pictures are put in.
        """
        made, state, ran = [], {}, pictures(executed)
        for cell in self.cells(stem):
            if cell.cell_type == "markdown":
                if text := self.plain(cell.source, stem, state):
                    made.append(nbformat.v4.new_markdown_cell(text))
                continue
            metadata, mystnb = {}, cell.metadata.get("mystnb", {})
            outputs = [o.copy() for o in cell.outputs] or ran.get(cell.source, [])
            for output in outputs:  # one string, not lines, between which JupyterLite puts commas
                if "text" in output:
                    output["text"] = "".join(output["text"])
                if "image" in mystnb and "image/png" in output.get("data", {}):
                    output.metadata.setdefault("image/png", {})["alt"] = mystnb["image"]["alt"]
            tags = [t for t in cell.metadata.get("tags", []) if not t.startswith("nbval")]
            if tags:
                metadata["tags"] = tags
            if state.get("solution"):
                metadata |= {"jupyter": {"source_hidden": True, "outputs_hidden": True},
                             "cellView": "form"}
            elif HIDDEN & set(tags):
                metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
            made.append(nbformat.v4.new_code_cell(
                cell.source, outputs=outputs, metadata=metadata,
                execution_count=cell.execution_count))
            if words := self.caption(mystnb, stem):
                made.append(nbformat.v4.new_markdown_cell(words))
        if any(c.cell_type == "code" and "explore(" in c.source for c in made):
            first = next(c for c in made if c.cell_type == "markdown")
            first.source = re.sub(r"(^# .*$)", lambda m: f"{m[1]}\n\n{START}", first.source,
                                  count=1, flags=re.M)
        for index, cell in enumerate(made):
            cell.id = f"{index}-" + hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        return nbformat.v4.new_notebook(cells=made, metadata=HEAD)

    def caption(self, mystnb, here):
        """What stands under a figure: its number and caption, and what it shows in words."""
        figure, alt = mystnb.get("figure", {}), mystnb.get("image", {}).get("alt")
        parts = []
        if "caption" in figure:
            label = figure.get("name", "")
            parts.append(anchor(label) + f"**{self.words.get(label, 'Figure')}.** "
                         + self.inline(figure["caption"], here))
        if alt:
            parts.append(fold("The picture in words", html.escape(alt, quote=False)))
        return "\n\n".join(parts)


def slug(term):
    """The place of a term in the glossary."""
    return "term-" + re.sub(r"\W+", "-", term.lower()).strip("-")


def entries(body):
    """The terms of a glossary with their meanings; a meaning may have several."""
    for terms, meaning in re.findall(r"((?:^\S.*\n)+)((?:(?: +.*)?(?:\n|\Z))+)", body, re.M):
        meaning = re.sub(r"^ +", "", meaning, flags=re.M).strip("\n")
        for term in terms.strip().split("\n"):
            yield term.strip(), meaning


def pictures(executed):
    """{source of a cell: its pictures}, of a notebook that has been run for the built book."""
    found = {}
    for cell in executed.cells if executed else []:
        shown = [made for output in cell.get("outputs", []) for made in stills(output)]
        if shown:
            found[cell.source] = shown
    return found


def stills(output):
    """An output without what only the book's pages understand; the caption of a widget."""
    data, display = output.get("data", {}), functools.partial(nbformat.v4.new_output,
                                                              "display_data")
    page, words = data.get("text/html", ""), data.get("text/plain", "")
    if "image/png" in data:
        about = dict(output.metadata.get("image/png", {}))
        yield display({"image/png": "".join(data["image/png"].split()), "text/plain": words},
                      metadata={"image/png": about})
        if page:
            told = "*A picture that stands still; run its cell to move it.*"
            told += f" {html.escape(words, quote=False)}" if words != about["alt"] else ""
            told += "\n\n" + fold("The picture in words", html.escape(about["alt"], quote=False))
            yield display({"text/markdown": told, "text/plain": words})
    elif "lcn-strip" in page:
        yield display({"text/html": page, "text/plain": words})
