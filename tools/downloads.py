"""The notebooks of the built book that readers download, and that Colab opens.

They read without the book's directives.  Where _config.yml names a repository, their first cell
installs the release of lcnlib; the notebooks in git stay without it.
"""

import json
import tomllib
from pathlib import Path

import live_text
import yaml

ROOT = Path(__file__).resolve().parents[1]
INSTALL = '''\
# Where the book's library is missing, on Colab for example, this installs its release.
try:
    import lcnlib
except ModuleNotFoundError:
    %pip install --quiet "lcnlib @ git+{url}@v{version}"'''


def install_cell(url):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"cell_type": "code", "id": "install", "metadata": {}, "execution_count": None,
            "outputs": [], "source": INSTALL.format(url=url, version=project["version"])}


def main(html, source=ROOT):
    """Write the notebooks of the book in `source` over the copies that Sphinx made in `html`."""
    config = yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))
    url = (config["repository"]["url"] or "").rstrip("/").removesuffix(".git")
    names = live_text.Names(source / "book")
    for path in sorted((html / "_sources" / "book").glob("*.ipynb")):
        book = live_text.chapter(source / "book" / path.name, names)
        if url:
            book["cells"].insert(0, install_cell(url))
        path.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
