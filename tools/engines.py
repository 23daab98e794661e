"""Firefox, and Safari's engine (WebKitGTK), without a screen, for the tests of the pages.

Firefox is driven by the protocol that is built into it (Marionette), WebKitGTK by its own driver:
both speak the commands of W3C's WebDriver, so no further program or package is needed.

usage: python tools/engines.py      make sure that they are there, and say what is missing
"""

import base64
import contextlib
import glob
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import browser

PATIENCE = 300  # seconds; the machine may be busy
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's name for a reference to an element
KEYS = {"ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015"}
FIREFOX = ["firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"]
MINIBROWSER = "/usr/lib/*/webkit2gtk-4.*/MiniBrowser"
PREFERENCES = {
    "marionette.port": 0, "app.update.enabled": False, "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore", "datareporting.policy.firstRunURL": "",
    "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.enabled": False,
    "browser.safebrowsing.malware.enabled": False, "browser.safebrowsing.phishing.enabled": False,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "extensions.update.enabled": False, "app.normandy.enabled": False,
    "services.settings.server": "", "browser.search.update": False, "geo.enabled": False,
    # Other hosts cannot be reached; this machine is never asked for through a proxy.
    "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9,
}


class Missing(RuntimeError):
    """An engine that this machine does not have."""


def firefox_path():
    return browser.find(FIREFOX, "firefox-esr")


def webkit_paths():
    """The driver, the little browser that it opens, and a screen for it."""
    driver = browser.find(["WebKitWebDriver"], "webkit2gtk-driver", "xvfb")
    small = sorted(glob.glob(MINIBROWSER))
    return driver, small[-1] if small else None, browser.find(["Xvfb"], "xvfb")


class Engine:
    """What the tests ask of an engine; `send` sends it one of WebDriver's commands."""

    def goto(self, address):
        # A page with another fragment is the same page: leave it, so that the link is a cold one.
        self.send("Navigate", url="about:blank")
        self.send("Navigate", url=address)

    def script(self, body, *args):
        """The value that the body of a function returns; it may be a promise's."""
        return self.send("ExecuteScript", script=body, args=list(args))

    def wait(self, body, *args, patience=PATIENCE):
        """Wait until the body of a function returns something true, and return it."""
        end = time.monotonic() + patience
        while not (found := self.script(body, *args)):
            if time.monotonic() > end:
                raise TimeoutError(f"after {patience} s there is still no {body}")
            time.sleep(0.05)
        return found

    def press(self, *names):
        actions = [{"type": kind, "value": KEYS[name]} for name in names
                   for kind in ("keyDown", "keyUp")]
        self.send("PerformActions", actions=[{"type": "key", "id": "keys", "actions": actions}])


class Firefox(Engine):
    def __init__(self, address):
        self.socket = socket.create_connection(address, PATIENCE)
        self.numbers = itertools.count()
        self.read()  # it says who it is
        self.send("NewSession", pageLoadStrategy="normal", acceptInsecureCerts=False,
                  timeouts={"pageLoad": PATIENCE * 1000, "script": PATIENCE * 1000})
        self.send("SetWindowRect", width=1280, height=985)

    def read(self):
        size = b""
        while not size.endswith(b":"):
            byte = self.socket.recv(1)
            if not byte:
                raise RuntimeError("Firefox has ended")
            size += byte
        data = bytearray()
        while len(data) < int(size[:-1]):
            data += self.socket.recv(1 << 16)
        return json.loads(data)

    def send(self, command, **arguments):
        text = json.dumps([0, next(self.numbers), f"WebDriver:{command}", arguments])
        self.socket.sendall(f"{len(text.encode())}:{text}".encode())
        _, _, error, result = self.read()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result.get("value") if isinstance(result, dict) else result

    def paper(self):
        """The page as a PDF, as "Print" makes it."""
        return base64.b64decode(self.send("Print", background=False))


COMMANDS = {"Navigate": "url", "ExecuteScript": "execute/sync", "PerformActions": "actions",
            "SetWindowRect": "window/rect"}


class WebKit(Engine):
    def __init__(self, address, binary):
        self.address = f"{address}session"
        options = {"binary": binary, "args": ["--automation"]}
        timeouts = {"pageLoad": PATIENCE * 1000, "script": PATIENCE * 1000}
        made = self.post(self.address, {"capabilities": {"alwaysMatch": {
            "webkitgtk:browserOptions": options, "timeouts": timeouts}}})
        self.address += f"/{made['sessionId']}"
        self.send("SetWindowRect", width=1280, height=985)

    def post(self, address, data, method="POST"):
        request = urllib.request.Request(address, json.dumps(data).encode(), method=method,
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{address}: {error.read().decode()[:2000]}") from error

    def send(self, command, **arguments):
        return self.post(f"{self.address}/{COMMANDS[command]}", arguments)

    def quit(self):
        self.post(self.address, {}, "DELETE")


@contextlib.contextmanager
def process(command, **options):
    """A process that ends with the block; its group, because browsers have children."""
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               **options)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:  # it does not listen
            running.kill()


def patiently(try_it, running):
    """What `try_it` returns, as soon as it raises no error."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return try_it()
        except (OSError, ValueError):
            if running.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def firefox():
    path = firefox_path()
    if path is None:
        raise Missing("no Firefox: install it (Debian: firefox-esr)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items())
        Path(home, "user.js").write_text("\n".join(lines))
        env = {**os.environ, "HOME": home, "MOZ_HEADLESS": "1"}
        with process([path, "--headless", "--no-remote", "--profile", home, "--marionette"],
                     env=env) as running:
            port = patiently(lambda: int(Path(home, "MarionetteActivePort").read_text()), running)
            engine = patiently(lambda: Firefox(("127.0.0.1", port)), running)
            with engine.socket:
                yield engine


@contextlib.contextmanager
def screen(xvfb):
    """The name of an X display of its own."""
    reading, writing = os.pipe()
    with process([xvfb, "-displayfd", str(writing), "-screen", "0", "1400x1100x24",
                  "-nolisten", "tcp"], pass_fds=[writing]):
        os.close(writing)
        with os.fdopen(reading) as told:
            yield f":{told.readline().strip()}"


@contextlib.contextmanager
def webkit():
    driver, small, xvfb = webkit_paths()
    if not (driver and small and xvfb):
        raise Missing("no WebKitGTK with its driver and a virtual screen: install them "
                      "(Debian: webkit2gtk-driver, xvfb)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, screen(xvfb) as display:
        env = {**os.environ, "HOME": home, "DISPLAY": display, "GDK_BACKEND": "x11",
               "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9",
               "no_proxy": "127.0.0.1", "LIBGL_ALWAYS_SOFTWARE": "1"}
        with process([driver, f"--port={port}"], env=env) as running:
            engine = patiently(lambda: WebKit(f"http://127.0.0.1:{port}/", small), running)
            yield engine
            engine.quit()


ALL = {"firefox": firefox, "webkit": webkit}


if __name__ == "__main__":
    for name, paths in (("Firefox", [firefox_path()]), ("WebKitGTK", webkit_paths())):
        print(f"{name}: {' '.join(map(str, paths)) if all(paths) else 'not there, not tested'}")
    sys.exit(0)
