"""Is this tag the version that the package, the citation and the archive's metadata name?

usage: python tools/release.py TAG
"""

import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def versions():
    """Every place that states the version, and what it says."""
    text = {name: (ROOT / name).read_text("utf-8")
            for name in ("pyproject.toml", "lcnlib/__init__.py", "CITATION.cff", ".zenodo.json",
                         "book/cite.md")}
    return {
        "pyproject.toml": tomllib.loads(text["pyproject.toml"])["project"]["version"],
        "lcnlib/__init__.py": re.search('__version__ = "(.*?)"', text["lcnlib/__init__.py"])[1],
        "CITATION.cff": re.search("^version: (.*)$", text["CITATION.cff"], re.M)[1],
        "book/cite.md": re.search(r"version = \{(.*?)\}", text["book/cite.md"])[1],
        ".zenodo.json": json.loads(text[".zenodo.json"])["version"],
    }


def main(tag):
    wrong = {place: v for place, v in versions().items() if f"v{v}" != tag}
    if wrong:
        sys.exit(f"tag: expected v and the version that every file states, got {tag}; these say "
                 f"otherwise: {wrong}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
