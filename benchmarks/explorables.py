"""How fast the pictures follow the finger: frames in a second while a point is dragged.

Each picture's first handle moves on a circle for two seconds, by made-up pointer events, one for
each frame (the map, which has no handle, gets another choice of one of its menus in each); once as
it is, once with the processor slowed down four times, as a phone would be.
"CPU ms" is the processor's time that the page's main thread takes for a frame, whatever else the
machine does.  Below 16 it is 60 frames a second; below 8 it is 30 on a machine four times slower.

usage: python benchmarks/explorables.py
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import browser  # noqa: E402

from lcnlib.display import modules  # noqa: E402
from lcnlib.display.pictures import PICTURES  # noqa: E402

DRAG = """() => new Promise(done => {
  const handle = [...document.querySelectorAll('[role=slider]')].find(e => e.offsetParent);
  const menus = [...document.querySelectorAll('select')], times = [];
  const box = (handle || menus[0]).getBoundingClientRect(), x = box.x + 22, y = box.y + 22;
  const choose = k => {
    const menu = menus[k % menus.length];
    menu.selectedIndex = (menu.selectedIndex + 1) % menu.options.length;
    menu.dispatchEvent(new Event('change', {bubbles: true}));
  };
  const tell = (kind, a, b) => handle ? handle.dispatchEvent(
    new PointerEvent(kind, {clientX: a, clientY: b, bubbles: true, pointerId: 1}))
    : kind === 'pointermove' && choose(times.length);
  tell('pointerdown', x, y);
  const start = performance.now();
  const frame = now => {
    times.push(now);
    const turn = (now - start) / 150;
    tell('pointermove', x + 40 * Math.sin(turn), y + 40 * Math.cos(turn));
    if (now - start < 2000) requestAnimationFrame(frame);
    else { tell('pointerup', x, y); done([times.length / 2, Math.max(...times.slice(1).map(
      (t, i) => t - times[i]))]); }
  };
  requestAnimationFrame(frame);
})"""


def busy(client):
    """Seconds that the main thread has worked."""
    found = client.send("Performance.getMetrics")["metrics"]
    return next(m["value"] for m in found if m["name"] == "TaskDuration")


def measure(page, slower):
    """Frames in a second, the longest in ms, and the processor's time for one in ms."""
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable", {"timeDomain": "threadTicks"})
    client.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    before, found = busy(client), page.evaluate(DRAG)
    client.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return [*found, (busy(client) - before) * 1000 / (2 * found[0])]


def main():
    print("picture        frames/s  longest ms  CPU ms   slowed 4x: frames/s  longest ms")
    with browser.chromium() as chromium, tempfile.TemporaryDirectory() as folder:
        for name in PICTURES:
            path = Path(folder, f"{name}.html")
            path.write_text('<!doctype html><meta charset="utf-8"><div style="width:700px" '
                            f'data-picture="{name}"></div><script>{modules.script()}</script>',
                            encoding="utf-8")
            page = chromium.new_page()
            page.goto(path.as_uri())
            page.wait_for_selector(".lcn-touch:not([data-busy])", timeout=60_000)
            row = [measure(page, slower) for slower in (1, 1, 4)][1:]  # the first one warms up
            print(f"{name:14s} {row[0][0]:8.0f} {row[0][1]:11.0f} {row[0][2]:7.1f} "
                  f"{row[1][0]:21.0f} {row[1][1]:11.0f}", flush=True)
            page.close()


if __name__ == "__main__":
    main()
