"""What a published book needs: links to its repository, a social card, a sitemap.

Everything follows from one setting, ``repository: {url: ...}`` in _config.yml.  While it is empty
there are no launch, edit and issue links, and addresses are relative to the site.
"""

import html
import posixpath
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes

PREVIEW = "_static/preview.png"  # drawn by tools/picture.py after the build
PAGES_BRANCH = "gh-pages"        # the built site; tools/downloads.py says what is in its notebooks


def repository(config):
    return (config.html_theme_options.get("repository_url") or "").rstrip("/").removesuffix(".git")


def site(url):
    """Where GitHub or GitLab publish the pages of a repository; "" for others."""
    parts = urlsplit(url)
    owner, _, name = parts.path.strip("/").rpartition("/")
    host = {"github.com": "github.io", "gitlab.com": "gitlab.io"}.get(parts.netloc)
    if not (host and owner):
        return ""
    home = f"{owner.lower()}.{host}"
    return f"https://{home}/" + ("" if name.lower() == home else f"{name}/")


def use_repository(app, config):
    """Turn on the theme's links; the theme itself stops at an empty address."""
    url = repository(config)
    if not url:
        return
    config.html_theme_options |= {
        "repository_url": url, "use_repository_button": True, "use_edit_page_button": True,
        "use_issues_button": True,
        "launch_buttons": {"notebook_interface": "jupyterlab",
                           "binderhub_url": "https://mybinder.org"}}
    if urlsplit(url).netloc == "github.com":  # Colab opens nothing else
        config.html_theme_options["launch_buttons"]["colab_url"] = (
            "https://colab.research.google.com")
    config.html_baseurl = config.html_baseurl or site(url)


def all_buttons(buttons):
    for button in buttons:
        yield button
        yield from all_buttons(button.get("buttons", []))


def lead_to_readable_notebooks(app, pagename, templatename, context, doctree):
    """Colab opens the published download; Binder what postBuild writes, not the source in book/."""
    branch = app.config.html_theme_options.get("repository_branch") or "master"
    for button in all_buttons(context.get("header_buttons", [])):
        if button.get("text") == "Colab":
            button["url"] = button["url"].replace(f"/blob/{branch}/",
                                                  f"/blob/{PAGES_BRANCH}/_sources/", 1)
        elif button.get("text") == "Binder":
            button["url"] = button["url"].replace("lab/tree/book/", "lab/tree/notebooks/", 1)


def description(doctree):
    """The first paragraph that reads without mathematics, cut at the end of a sentence or word."""
    for paragraph in doctree.findall(nodes.paragraph):
        if any(paragraph.findall(lambda n: isinstance(n, (nodes.math, nodes.raw)))):
            continue
        text = " ".join(paragraph.astext().split())
        if len(text) >= 60:
            return text if len(text) <= 200 else shortened(text[:200])
    return ""


def shortened(text):
    return text[:text.rfind(". ") + 1] or text.rsplit(" ", 1)[0] + " …"


def add_card(app, pagename, templatename, context, doctree):
    """Give the page the tags from which other sites make a preview of it."""
    if doctree is None:
        return
    title = app.env.titles[pagename].astext()
    words = description(doctree) or title
    base = app.config.html_baseurl
    image = base + PREVIEW if base else posixpath.relpath(PREVIEW, posixpath.dirname(pagename))
    front = pagename == app.config.root_doc
    tags = {"og:type": "website" if front else "article", "og:title": title,
            "og:site_name": app.config.html_title, "og:description": words,
            "og:image": image, "og:image:width": "1200", "og:image:height": "630",
            "og:image:alt": "The book's title beside a picture of one start and one loss: three "
                            "initialisations take three paths to the least loss."}
    if base:
        tags["og:url"] = f"{base}{pagename}.html"
    lines = [f'<meta property="{k}" content="{html.escape(v)}" />' for k, v in tags.items()]
    lines.append(f'<meta name="description" content="{html.escape(words)}" />')
    lines.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def finish(app, exception):
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    (out / ".nojekyll").touch()  # GitHub would drop folders whose names begin with "_"
    # Search engines want whole addresses; without a repository there are none yet.
    pages = "".join(f"  <url><loc>{html.escape(app.config.html_baseurl)}{name}.html</loc></url>\n"
                    for name in sorted(app.env.found_docs))
    (out / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{pages}</urlset>\n',
        encoding="utf-8")


def setup(app):
    app.connect("config-inited", use_repository)
    app.connect("html-page-context", lead_to_readable_notebooks, priority=600)
    app.connect("html-page-context", add_card)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
