"""What a published book needs: links to its repository, a social card, a sitemap, a policy.

All links follow from one setting, ``repository: {url: ...}`` in _config.yml.  While it is empty
there are no launch, edit and issue links, and addresses are relative to the site.

The policy tells the browser what a page may load: files of the book, and the inline scripts that
are in the page when it is written, each by its hash.  Inline styles stay allowed: drawings,
MathJax and the theme write them.
"""

import base64
import hashlib
import html
import posixpath
import re
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes

PREVIEW = "_static/preview.png"  # drawn by tools/picture.py after the build
PAGES_BRANCH = "gh-pages"        # the built site; tools/downloads.py says what is in its notebooks
POLICY = ("default-src 'self'; object-src 'none'; script-src {scripts}; "
          "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
          "form-action 'self'; base-uri 'none'")
SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.S)
SUMS = "SHA256SUMS"              # in _sources; `sha256sum -c SHA256SUMS` there checks what one has


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


def add_sums(app, pagename, templatename, context, doctree):
    """Link the hashes of what can be downloaded beside the downloads."""
    for button in context.get("header_buttons", []):
        if button.get("label") == "download-buttons":
            button["buttons"].append({
                "type": "link", "url": f"{context['pathto']('_sources', 1)}/{SUMS}",
                "text": "SHA-256", "icon": "fas fa-check", "label": "download-sums-button",
                "tooltip": "Hashes of the files, to check a download"})


def hashes(html):
    """Write the hashes of what readers download from the built book in the folder `html`."""
    sources = html / "_sources"
    files = [*sorted(sources.rglob("*.ipynb")), *sorted(sources.rglob("*.md")),
             *html.glob("_static/book.pdf")]
    (sources / SUMS).write_text("".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  "
        f"{posixpath.relpath(path.as_posix(), sources.as_posix())}\n" for path in files),
        encoding="utf-8")


def policy(page):
    """The page with its policy, and without handlers in its tags, which the policy forbids."""
    if "Content-Security-Policy" in page:
        return page
    # book.js calls the function of that name.
    page = re.sub(r'onclick="(?:window\.)?(\w+)\(\)"', r'data-press="\1"', page)
    sources = ["'self'"]
    for attributes, body in SCRIPT.findall(page):
        data = re.search(r'type="(?!text/javascript|module)', attributes)
        if body.strip() and not data and " src=" not in attributes:
            found = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            sources.append(f"'sha256-{found}'")
    scripts = " ".join(dict.fromkeys(sources))
    meta = ('<meta http-equiv="Content-Security-Policy" content="'
            f'{POLICY.format(scripts=scripts)}" />')
    # The page that leads to the first one has no head in its text.
    at = head.end() if (head := re.search(r"<head\b[^>]*>", page)) else 0
    return f"{page[:at]}\n    {meta}\n{page[at:]}".lstrip()


def protect(html):
    """Give every page in the folder `html` its policy; JupyterLite has one of its own."""
    for path in html.rglob("*.html"):
        if path.relative_to(html).parts[0] not in ("_static", "lite"):
            text = path.read_text(encoding="utf-8")
            if (safe := policy(text)) != text:
                path.write_text(safe, encoding="utf-8")


def finish(app, exception):
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    protect(out)
    hashes(out)
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
    app.connect("html-page-context", add_sums, priority=600)
    app.connect("html-page-context", add_card)
    app.connect("build-finished", finish, priority=900)  # after the downloads
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
