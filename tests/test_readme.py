"""The README's code runs as it stands, and leads to Colab as soon as there is an address."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def test_readme_code_runs():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    if not blocks:
        pytest.fail("README.md shows no Python")
    namespace = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)


def test_readme_leads_to_colab_as_soon_as_it_can():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    url = (config["repository"]["url"] or "").rstrip("/").removesuffix(".git")
    links = re.findall(r"https://colab\.research\.google\.com/[^\s)]*", README.read_text("utf-8"))
    if "//github.com/" in url:  # Colab opens nothing else
        place = url.partition("//github.com/")[2]
        link = (f"https://colab.research.google.com/github/{place}/blob/gh-pages/_sources/book/"
                "01_polynomials.ipynb")
        assert links == [link], f"README.md, second paragraph: [Open in Colab]({link})"
    else:
        assert not links, "an address that leads nowhere"
