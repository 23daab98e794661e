"""Screenshots of built pages: wide, phone and dark, cut into slices that can be looked at.

usage: python tools/shots.py BUILT_HTML OUT_FOLDER [PAGE ...]     (PAGE like book/index.html)
"""

import io
import sys
from pathlib import Path

from browser import chromium, serve, settled
from PIL import Image

LOOKS = {"wide": (1280, "light"), "phone": (360, "light"), "dark": (1280, "dark")}
SLICE = 1900


def main(html, out, *pages):
    html, out = Path(html), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    pages = pages or sorted(str(p.relative_to(html)) for p in html.glob("book/*.html"))
    with serve(html) as base, chromium() as browser:
        for look, (width, scheme) in LOOKS.items():
            context = browser.new_context(viewport={"width": width, "height": 900},
                                          color_scheme=scheme)
            page = context.new_page()
            for name in pages:
                settled(page, base + name)
                page.wait_for_timeout(300)
                picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
                stem = f"{Path(name).stem}-{look}"
                for old in out.glob(f"{stem}-*.png"):
                    old.unlink()
                for k, top in enumerate(range(0, picture.height, SLICE)):
                    box = (0, top, picture.width, min(top + SLICE, picture.height))
                    picture.crop(box).save(out / f"{stem}-{k:02d}.png")
            context.close()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
