"""The chapters' text for Jupyter, which knows Markdown and TeX but none of the book's directives.

Statements, proofs and exercises get a bold name, references the name of what they refer to,
citations author and year, equations numbers; the macros of _config.yml are defined in front.
Code cells stay as they are.
"""

import re
from pathlib import Path

import nbformat
import yaml
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^( *)(`{3,}|:{3,})\{([\w:-]+)\}[ ]*(.*)$")
ROLE = re.compile(r"\{([\w:-]+)\}`([^`]*)`")
LABEL = re.compile(r"^\(([\w-]+)\)=\n", re.M)
NUMBERED = re.compile(r"( *)\$\$ *\(([\w-]+)\)")
SILENT = {"index", "solution-end"}


def cells(path):
    """The notebook, and its markdown cells; every text in it is one string, not a list of lines.

    JupyterLite puts commas between the lines of a printed output.
    """
    book = nbformat.read(path, as_version=4)
    return book, [c for c in book["cells"] if c["cell_type"] == "markdown"]


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


def cited(bib, keys, in_text):
    """The works with these keys, by author and year."""
    works = []
    for key in keys.replace(" ", "").split(","):
        entry = bib.entries[key]
        people = entry.persons.get("author") or entry.persons["editor"]
        names = [" ".join(p.prelast_names + p.last_names).strip("{}") for p in people]
        who = " and ".join(names) if len(names) < 3 else names[0] + " et al."
        year = entry.fields["year"]
        works.append(f"{who} ({year})" if in_text else f"{who} {year}")
    return ", ".join(works) if in_text else f"[{', '.join(works)}]"


class Names:
    """What the labels of the book stand for."""

    def __init__(self, folder):
        self.bib = parse_file(str(folder / "references.bib"))
        self.titles, self.home, self.words = {}, {}, {}
        for path in sorted(folder.glob("*.md")):
            self.titles[path.stem] = re.search(r"^# (.*)", path.read_text("utf-8"), re.M)[1]
        for path in sorted(folder.glob("*.ipynb")):
            _, texts = cells(path)
            self.titles[path.stem] = re.search(r"^# (.*)", texts[0]["source"], re.M)[1]
            equations = 0
            for cell in texts:
                for part in directives(cell["source"]):
                    if not isinstance(part, str) and (label := part[2].get("label")):
                        self.add(label, path, kind(part[0]) + (f" “{part[1]}”" if part[1] else ""))
                for _, label in NUMBERED.findall(cell["source"]):
                    equations += 1
                    self.add(label, path, f"({equations})")

    def add(self, label, path, words):
        self.home[label], self.words[label] = path.stem, words

    def role(self, match, here):
        """The plain Markdown for one role."""
        name, text = match.groups()
        titled = re.fullmatch(r"(.*?)\s*<([^>]+)>", text)
        shown, target = titled.groups() if titled else ("", text)
        if name in ("cite", "cite:p", "cite:t"):
            return cited(self.bib, text, name == "cite:t")
        if name == "numref":
            return shown or "the figure"
        if name == "doc":
            target = target.rsplit("/")[-1]
            words = shown or self.titles.get(target, target)
            chapter = (ROOT / "book" / f"{target}.ipynb").exists()
            return f"[{words}]({target}.ipynb)" if chapter else f"*{words}*"
        words = shown or self.words.get(target, target)
        home = self.home.get(target, here)
        return words if home == here else f"[{words}]({home}.ipynb)"


def kind(name):
    """Theorem, Proof, Exercise: what a directive is called in the text."""
    return name.removeprefix("prf:").removesuffix("-start").capitalize()


def plain(text, names, here):
    """The text without directives and roles."""
    parts = []
    for part in directives(text):
        if isinstance(part, str):
            parts.append(part)
            continue
        name, argument, _, body = part
        if name in SILENT:
            continue
        body = plain(body, names, here)
        if name == "prf:proof":
            parts.append(f"*Proof.* {body}\n\n∎")
        elif name.startswith("solution"):
            parts.append(f"**Solution.** {body}")
        elif name.startswith("prf:") or name == "exercise":
            parts.append(f"**{kind(name)}" + (f" ({argument})" if argument else "")
                         + f".** {body}")
        else:
            parts.append(f"**{argument or kind(name)}.** {body}")
    text = "\n\n".join(p.strip("\n") for p in parts)
    text = NUMBERED.sub(lambda m: rf"{m[1]}\tag*{{{names.words[m[2]]}}}" f"\n{m[1]}$$",
                        LABEL.sub("", text))
    return ROLE.sub(lambda m: names.role(m, here), text)


def macros():
    """The macros of _config.yml as TeX definitions, in one formula that shows nothing."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    known = config["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]
    lines = []
    for name, meaning in known.items():
        meaning, count = (meaning, 0) if isinstance(meaning, str) else meaning
        lines.append(rf"\def\{name}" + "".join(f"#{i + 1}" for i in range(count))
                     + "{" + meaning + "}")
    return "$" + "".join(lines) + "$"


def chapter(path, names):
    """The notebook at `path` as Jupyter shows it best."""
    book, texts = cells(path)
    for cell in texts:
        cell["source"] = plain(cell["source"], names, path.stem)
    texts[0]["source"] += "\n\n" + macros()
    book["cells"] = [c for c in book["cells"] if c["source"]]
    return book
