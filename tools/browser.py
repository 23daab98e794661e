"""A headless Chromium and a little web server, for the browser checks and the screenshots."""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import threading
from pathlib import Path

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         # Other hosts have no address, for workers too.
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
MAC = ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
       "/Applications/Chromium.app/Contents/MacOS/Chromium"]


def find(names, *packages):
    """Path of the first program that is there; as root on Debian, after installing `packages`."""
    def there():
        return next((path for name in names if (path := shutil.which(name))), None)

    if path := there():
        return path
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        print(f"no {names[0]} on this machine: installing Debian's {' '.join(packages)}",
              flush=True)
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for args in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-o", "DPkg::Lock::Timeout=300", *args], env=env,
                           stdout=subprocess.DEVNULL)
    return there()


def find_chromium(playwright):
    """Path of a Chromium: $CHROMIUM, the system's, Playwright's own, Debian's package."""
    if path := os.environ.get("CHROMIUM"):
        if not Path(path).exists():
            raise RuntimeError(f"CHROMIUM names no file: {path}")
        return path
    own = [*NAMES, *MAC, playwright.chromium.executable_path]
    if path := find(own, "chromium"):
        return path
    raise RuntimeError(
        "The browser checks need a Chromium and found none. Install Chromium or Chrome, or run "
        "`.venv/bin/python -m playwright install chromium`, or set CHROMIUM to its path.")


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the end of a file may wait for 40 ms
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript", ".woff": "font/woff", ".woff2": "font/woff2"}

    def log_message(self, *args):
        pass

    def end_headers(self):
        self.send_header("Cache-Control", "max-age=600")
        super().end_headers()


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # with 5, a browser's burst of connections may be kept waiting for 1 s

    def handle_error(self, *args):
        pass  # a page that closes while it loads is no fault


@contextlib.contextmanager
def serve(folder):
    """Serve `folder` on a free local port; the value is the base address."""
    handler = functools.partial(_Handler, directory=str(folder))
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def chromium():
    """A running headless Chromium (Playwright's browser object) that reaches this machine only."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright),
                                             args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def settled(page, address):
    """Open `address` and wait until its mathematics and fonts are there."""
    page.set_default_timeout(180_000)  # the machine may be busy
    page.goto(address, wait_until="load")
    page.evaluate("async () => { if (window.MathJax?.startup) await MathJax.startup.promise;"
                  " await document.fonts.ready; }")


if __name__ == "__main__":  # make sure that there is one, and say which
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        print(find_chromium(playwright))
