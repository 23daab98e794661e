"""The README for a package index, where its relative addresses would lead nowhere.

They become those of the public repository at this release; while _config.yml names none, links
become plain words, and the picture is left out.
"""

import re
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)]+)\)")


def described(text, url, version):
    """The README with whole addresses."""
    def whole(found):
        picture, words, path = found.groups()
        if not url:
            return "" if picture else words
        return f"{picture}[{words}]({url}/{'raw' if picture else 'blob'}/v{version}/{path})"

    return RELATIVE.sub(whole, text)


def read(name, pattern):
    return re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.M)[1]


if __name__ == "__main__":
    setup(
        long_description=described(
            (ROOT / "README.md").read_text(encoding="utf-8"),
            read("_config.yml", r'^repository:\n  url: "?([^"\n]*?)(?:\.git|/)*"?$'),
            read("pyproject.toml", r'^version = "(.*)"$')),
        long_description_content_type="text/markdown")
