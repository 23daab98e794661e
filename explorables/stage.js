// The stage of every picture: panels with axes, things to drag, sliders, playing, words, the address.

// What a colour means, as in lcnlib.display.ROLES.
export const ROLES = { "layer 1": "#0072b2", "layer 2": "#d55e00", target: "#b8609a",
  "δ < 0": "#3a8fc4", "δ = 0": "#b07800", "δ > 0": "#008f68", metric: "#7a7a7a" };
const DASHES = { "δ < 0": "7 3 2 3", "δ = 0": "", "δ > 0": "6 4" };
const paint = role => ROLES[role] || (role === "paper" ? "var(--lcn-paper)" : role || "currentColor");

// Role and dashes of what belongs to the invariant delta.
export function look(delta) {
  const role = delta < 0 ? "δ < 0" : delta > 0 ? "δ > 0" : "δ = 0";
  return { role, dash: DASHES[role] };
}

export const number = (x, digits = 2) => {
  const text = x.toFixed(digits);
  return (+text === 0 ? text.replace("-", "") : text).replace("-", "−");
};
export const vector = (v, digits = 2) => `(${v.map(x => number(x, digits)).join(", ")})`;
export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

const CSS = `
.lcn-touch { --lcn-paper: var(--pst-color-background, var(--jp-layout-color0, #fff)); position: relative; font-size: 1rem; line-height: 1.4; }
.lcn-panels { display: flex; flex-wrap: wrap; gap: 4px 12px; }
.lcn-panel, .lcn-touch .lcn-caption { contain: layout style; }
.lcn-panel { position: relative; flex: 1 1 280px; min-width: 0; margin: 0; }
.lcn-panel > canvas { position: absolute; image-rendering: pixelated; }
.lcn-panel > svg { position: relative; display: block; width: 100%; overflow: hidden; font: 13px/1 system-ui, sans-serif; fill: none; stroke-linejoin: round; stroke-linecap: round; }
.lcn-panel text { fill: currentColor; stroke: var(--lcn-paper); stroke-width: 3px; paint-order: stroke; }
.lcn-handle { position: absolute; left: -22px; top: -22px; width: 44px; height: 44px; border-radius: 50%; cursor: grab; will-change: transform; touch-action: none; user-select: none; -webkit-user-select: none; }
.lcn-cell { border-radius: 4px; cursor: ns-resize; }
.lcn-handle svg { display: block; width: 44px; height: 44px; pointer-events: none; }
.lcn-handle:active { cursor: grabbing; }
.lcn-handle:focus { outline: none; }
.lcn-handle:focus-visible, .lcn-touch input:focus-visible, .lcn-touch button:focus-visible, .lcn-touch select:focus-visible { outline: 3px solid var(--pst-color-primary, #0b57c4); outline-offset: -3px; }
.lcn-touch .lcn-row { display: flex; flex-wrap: wrap; align-items: center; gap: 0 16px; margin: 0; }
.lcn-touch .lcn-row label { display: flex; align-items: center; gap: 8px; min-height: 44px; margin: 0; flex: 1 1 240px; }
.lcn-touch .lcn-row label.lcn-short { flex: 0 0 auto; }
.lcn-touch input[type=range] { flex: 1; min-width: 60px; height: 44px; margin: 0; accent-color: var(--pst-color-primary, #0b57c4); cursor: grab; touch-action: pan-y; }
.lcn-touch input[type=checkbox] { width: 20px; height: 20px; margin: 0; accent-color: var(--pst-color-primary, #0b57c4); }
.lcn-touch output { min-width: 3.6em; font-variant-numeric: tabular-nums; }
.lcn-touch button, .lcn-touch select { min-height: 44px; min-width: 44px; padding: 0 12px; font: inherit; color: inherit; background: transparent; border: 1px solid currentColor; border-radius: 6px; cursor: pointer; }
.lcn-touch select option { color: #1b1b1b; background: #fff; }
.lcn-touch .lcn-caption { margin: 4px 0 0; min-height: 2.8em; font-variant-numeric: tabular-nums; text-align: start; }
.lcn-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media print { .lcn-row { display: none !important; } }
`;

let count = 0;
const SVG = "http://www.w3.org/2000/svg";
function make(tag, attributes = {}, parent = null, text = null) {
  const svg = /^(svg|g|path|circle|text|rect|clipPath)$/.test(tag);
  const e = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const key in attributes) e.setAttribute(key, attributes[key]);
  if (text !== null) e.textContent = text;
  if (parent) parent.append(e);
  return e;
}

// What has not changed is not written again: the page would lay it out anew.
function put(e, key, value) {
  const was = e.put ||= {};
  if (was[key] === value) return;
  was[key] = value;
  if (key === "text") e.textContent = value;
  else e.setAttribute(key, value);
}
const round = x => Math.round(10 * x) / 10;
const wide = words => 8 * words.length; // about as many pixels, never fewer

export const STAR = r => Array.from({ length: 10 }, (_, i) => {
  const a = Math.PI * (i / 5 - 0.5), s = i % 2 ? 0.45 * r : r;
  return `${(s * Math.cos(a)).toFixed(1)},${(s * Math.sin(a)).toFixed(1)}`;
}).join("L");

// One drawing with its coordinates. What is drawn in a frame is named; what a frame leaves out hides.
class Panel {
  constructor(stage, { label, x, y, xlabel = "", ylabel = "", ticks = true, equal = true, ratio = null, tall = 330, bare = false, basis = 280, names = [] }) {
    Object.assign(this, { stage, x, y, equal, ticks, ratio, tall, bare, xlabel, ylabel, names, parts: new Map(), used: new Set() });
    this.box = make("div", { class: "lcn-panel" }, stage.panels);
    this.box.style.flexBasis = `${basis}px`;
    this.svg = make("svg", { role: "img", "aria-label": label }, this.box);
    this.label = label;
    const id = `lcn-clip-${++count}`; // what is drawn stays inside the axes
    this.window = make("rect", {}, make("clipPath", { id }, this.svg));
    this.axes = make("g", {}, this.svg);
    this.ink = make("g", ticks ? { "clip-path": `url(#${id})` } : {}, this.svg);
    this.front = make("g", {}, this.svg);
  }

  // One unit of the drawing is one pixel of the page.
  measure() {
    const width = Math.max(140, this.box.clientWidth || 320);
    const left = this.ticks ? 34 : 6, bottom = this.ticks ? 34 : 6, right = 14;
    const top = 8 + 18 * this.placeNames(width);
    const [x0, x1] = this.x, [y0, y1] = this.y, ratio = this.ratio || (y1 - y0) / (x1 - x0);
    let w = width - left - right, h = w * ratio;
    const most = Math.min(this.tall, Math.max(220, 0.55 * window.innerHeight)) - top - bottom;
    if (h > most) {
      h = most;
      if (this.equal) w = h / ratio;
    }
    const start = left + (width - left - right - w) / 2;
    Object.assign(this, { width, height: h + top + bottom, size: `${width} ${h}` });
    this.px = x => start + (x - x0) / (x1 - x0) * w;
    this.py = y => top + (y1 - y) / (y1 - y0) * h;
    this.unit = w / (x1 - x0);
    this.back = (px, py) => [x0 + (px - start) / w * (x1 - x0), y1 - (py - top) / h * (y1 - y0)];
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.svg.setAttribute("height", this.height);
    this.inner = { x: start, y: top, width: w, height: h };
    for (const [key, value] of Object.entries(this.inner)) this.window.setAttribute(key, value);
    if (this.canvas) this.placeCanvas();
    this.drawAxes(start, w);
  }

  // The names of lines stand above the axes, where no line can come: how many rows they take.
  placeNames(width) {
    const reserved = this.ylabel ? wide(this.ylabel) + 20 : 0;
    let row = 0, x = width;
    this.places = [...this.names].reverse().map(words => {
      const need = wide(words) + 46;
      if (x - need < (row ? 0 : reserved) && x < width) { row += 1; x = width; }
      x -= need;
      return [x, row];
    }).reverse();
    return this.names.length ? row + 1 : this.ylabel ? 1 : 0;
  }

  drawAxes(start, w) {
    this.axes.replaceChildren();
    make("text", { x: this.ticks ? Math.max(2, start - 8) : 2, y: 14 }, this.axes, this.ylabel);
    if (!this.ticks) return;
    if (this.bare) { // a name only
      make("text", { x: start + w, y: this.py(this.y[0]) + 20, "text-anchor": "end" }, this.axes, this.xlabel);
      return;
    }
    const [x0, x1] = this.x, [y0, y1] = this.y, low = this.py(y0);
    const step = span => [0.1, 0.2, 0.5, 1, 2, 5, 10, 20].find(s => span / s <= 7) || 90;
    make("path", { d: `M${start} ${this.py(y1)}V${low}H${start + w}`, stroke: "currentColor" }, this.axes);
    const marks = (a, b, f) => {
      const s = step(b - a);
      for (let i = Math.ceil(a / s - 1e-9); i * s <= b + 1e-9; i++) f(i * s, number(i * s, s < 1 ? 1 : 0));
    };
    marks(x0, x1, (v, text) => {
      make("path", { d: `M${this.px(v)} ${low}v4`, stroke: "currentColor" }, this.axes);
      make("text", { x: this.px(v), y: low + 17, "text-anchor": "middle" }, this.axes, text);
    });
    marks(y0, y1, (v, text) => {
      make("path", { d: `M${start} ${this.py(v)}h-4`, stroke: "currentColor" }, this.axes);
      make("text", { x: start - 7, y: this.py(v) + 4, "text-anchor": "end" }, this.axes, text);
    });
    make("text", { x: start + w, y: low + 31, "text-anchor": "end" }, this.axes, this.xlabel);
  }

  part(name, tag, { role = null, width = 2, dash = "", fill = null, opacity = 1, parent = null } = {}) {
    let e = this.parts.get(name);
    if (!e) this.parts.set(name, e = make(tag, {}, parent || (tag === "text" ? this.front : this.ink)));
    this.used.add(name);
    const style = tag === "text" ? "" : `stroke:${paint(role)};stroke-width:${width};` +
      `stroke-dasharray:${dash || "none"};fill:${fill ? paint(fill) : "none"};opacity:${opacity}`;
    if (e.was !== style) e.setAttribute("style", e.was = style);
    return e;
  }

  path(points, closed) {
    let d = "", pen = "M";
    for (const [x, y] of points) {
      if (!(Math.abs(x) < 1e6 && Math.abs(y) < 1e6)) { pen = "M"; continue; }
      d += pen + round(this.px(x)) + " " + round(this.py(y));
      pen = "L";
    }
    return d + (closed ? "Z" : "");
  }

  // The very array of the last frame need not be written again.
  line(name, points, style = {}) {
    const e = this.part(name, "path", style);
    if (e.points === points && e.size === this.size) return;
    put(e, "d", this.path(points, style.closed));
    e.points = points;
    e.size = this.size;
  }

  dots(name, points, { r = 4, ...style }) {
    const e = this.part(name, "path", { width: 1.5, ...style });
    put(e, "d", points.map(p => this.ring(p, r)).join(""));
  }

  ring([x, y], r) {
    return `M${round(this.px(x) - r)} ${round(this.py(y))}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
  }

  // Circles around one point in the units of the plane.
  circles(name, centre, radii, style = {}) {
    put(this.part(name, "path", style), "d", radii.map(r => this.ring(centre, round(r * this.unit))).join(""));
  }

  dot(name, [x, y], style = {}) {
    const e = this.part(name, "circle", { width: 1.5, fill: style.role, ...style });
    put(e, "cx", round(this.px(x)));
    put(e, "cy", round(this.py(y)));
    put(e, "r", style.r || 5);
  }

  text(name, [x, y], words, { dx = 0, dy = 0, anchor = "start" } = {}) {
    const e = this.part(name, "text"), w = wide(words), at = this.px(x);
    // What would be cut at the edge of the panel goes to the other side of its point, or stays inside.
    if (anchor === "start" && at + dx + w > this.width && at - dx > w) { anchor = "end"; dx = -dx; }
    const left = anchor === "end" ? w : anchor === "middle" ? w / 2 : 0;
    put(e, "x", round(clamp(at + dx, left, Math.max(left, this.width - w + left))));
    put(e, "y", round(clamp(this.py(y) + dy, 12, this.py(this.y[0]) + (this.ticks ? -3 : 5))));
    put(e, "text-anchor", anchor);
    put(e, "text", words);
  }

  arrow(name, from, to, style = {}) {
    const a = [this.px(from[0]), this.py(from[1])], b = [this.px(to[0]), this.py(to[1])];
    const long = Math.hypot(b[0] - a[0], b[1] - a[1]), e = this.part(name, "path", style);
    if (!(long > 1)) return put(e, "d", "");
    const u = [(b[0] - a[0]) / long, (b[1] - a[1]) / long], s = Math.min(9, long / 2);
    const wing = q => `${round(b[0] - s * (u[0] + q * u[1]))} ${round(b[1] - s * (u[1] - q * u[0]))}`;
    const tip = b.map(round).join(" ");
    put(e, "d", `M${a.map(round).join(" ")}L${tip}M${wing(0.5)}L${tip}L${wing(-0.5)}`);
  }

  // How the lines look that have the panel's `names`.
  legend(styles) {
    styles.forEach((style, i) => {
      const [x, row] = this.places[i], y = 14 + 18 * row, e = this.part(`legend${i}`, "text");
      put(e, "x", round(x + 32));
      put(e, "y", y);
      put(e, "text", this.names[i]);
      put(this.part(`legendline${i}`, "path", { ...style, parent: this.front }), "d", `M${round(x)} ${y - 4}h26`);
    });
  }

  // A table of n × m cells behind the drawing, first row at the top; `alpha` gives how much ink each
  // cell holds, from 0 to 1; without it the table holds greys. The very table of the last frame need not be drawn again.
  raster(table, n, m, alpha) {
    if (!this.canvas) {
      this.canvas = make("canvas", { "aria-hidden": "true" });
      this.box.prepend(this.canvas);
      this.placeCanvas();
    }
    const ink = this.stage.ink;
    if (this.table === table && this.dye === ink) return;
    Object.assign(this, { table, dye: ink });
    Object.assign(this.canvas, { width: m, height: n });
    const pen = this.canvas.getContext("2d"), image = pen.createImageData(m, n);
    const [r, g, b] = ink.match(/[\d.]+/g).map(Number), dots = image.data;
    for (let i = 0; i < n * m; i++) {
      dots[4 * i] = alpha ? r : 255 * table[i];
      dots[4 * i + 1] = alpha ? g : 255 * table[i];
      dots[4 * i + 2] = alpha ? b : 255 * table[i];
      dots[4 * i + 3] = alpha ? 255 * alpha(table[i]) : 255;
    }
    pen.putImageData(image, 0, 0);
  }

  placeCanvas() {
    const { x, y, width, height } = this.inner;
    Object.assign(this.canvas.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
  }

  bars(name, heights, style = {}) {
    this.line(name, heights.flatMap((h, i) => [[i, 0], [i, h], [NaN, 0]]), { width: 8, ...style });
  }

  frame(draw) {
    this.used.clear();
    draw();
    for (const [name, e] of this.parts) {
      const display = this.used.has(name) ? "" : "none";
      if (e.style.display !== display) e.style.display = display;
      if (display) e.was = null;
    }
  }

  // Sweeping over the panel sets the values at whole numbers; buttons do what the keyboard needs.
  pen({ set, low, high }) {
    this.svg.style.touchAction = "pan-y";
    this.svg.style.cursor = "crosshair";
    let down = false;
    const at = event => {
      const box = this.svg.getBoundingClientRect(), p = this.back(event.clientX - box.left, event.clientY - box.top);
      const i = Math.round(clamp(p[0], Math.ceil(this.x[0]), Math.floor(this.x[1])));
      this.stage.change(set(i, +clamp(p[1], low, high).toFixed(3), this.stage.state));
    };
    this.svg.addEventListener("pointerdown", event => { down = true; at(event); });
    this.svg.addEventListener("pointermove", event => { if (down) at(event); });
    for (const end of ["pointerup", "pointercancel", "pointerleave"])
      this.svg.addEventListener(end, () => { if (down) this.stage.rest(); down = false; });
  }

  // A square of n × n cells. Dragging a cell up raises its value, down lowers it; so do the keys, and
  // left and right go from cell to cell, of which one is in the order of Tab.
  cells({ n, low, high, name, get, set }) {
    const { stage } = this, all = [];
    for (let k = 0; k < n * n; k++) {
      const i = Math.floor(k / n), j = k % n;
      const e = make("div", { class: "lcn-handle lcn-cell", role: "slider", tabindex: k ? -1 : 0, "aria-label": name(i, j), "aria-orientation": "vertical",
        "aria-valuemin": low, "aria-valuemax": high, "aria-describedby": stage.hint.id }, this.box);
      const to = x => stage.change(set(i, j, clamp(Math.round(100 * x) / 100, low, high), stage.state));
      let grip = null;
      e.addEventListener("pointerdown", event => {
        grip = event.pageY / 60 + get(stage.state)[i][j];
        try { e.setPointerCapture(event.pointerId); } catch { /* a made-up pointer of a test */ }
        event.preventDefault();
        e.focus({ preventScroll: true });
      });
      e.addEventListener("pointermove", event => { if (grip !== null) to(grip - event.pageY / 60); });
      for (const end of ["pointerup", "pointercancel"])
        e.addEventListener(end, () => { if (grip !== null) stage.rest(); grip = null; });
      e.addEventListener("focus", () => all.forEach(f => f.setAttribute("tabindex", f === e ? 0 : -1)));
      e.addEventListener("keydown", event => {
        if (event.ctrlKey || event.altKey || event.metaKey) return;
        const by = { ArrowUp: 0.05, ArrowDown: -0.05, PageUp: 0.5, PageDown: -0.5 }[event.key];
        const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!by && !side) return;
        event.preventDefault();
        if (side && !event.shiftKey) all[(k + side + n * n) % (n * n)].focus();
        if (!by) return;
        to(get(stage.state)[i][j] + by * (event.shiftKey ? 10 : 1));
        stage.rest();
      });
      stage.handles.push(() => {
        const value = get(stage.state)[i][j];
        put(e, "style", `transform: translate(${round(this.px(j + 0.5))}px, ${round(this.py(n - i - 0.5))}px)`);
        put(e, "aria-valuenow", value);
        put(e, "aria-valuetext", number(value));
      });
      all.push(e);
    }
  }

  // Space is turned and tilted by dragging the panel, or by a knob, which serves the keyboard too; `rest`
  // is the knob's place where it is seen from `first`, [azimuth, elevation].
  turns({ key, rest, first }) {
    const show = ([a, e]) => ({ [key]: [Math.round(a + 3600) % 360, Math.round(clamp(e, 0, 90))] });
    let grip = null;
    this.svg.style.touchAction = "pan-y";
    this.svg.style.cursor = "move";
    this.svg.addEventListener("pointerdown", event => {
      grip = [event.pageX, event.pageY, ...this.stage.state[key]];
      try { this.svg.setPointerCapture(event.pointerId); } catch { /* a made-up pointer of a test */ }
    });
    this.svg.addEventListener("pointermove", event => {
      if (grip) this.stage.change(show([grip[2] - 0.5 * (event.pageX - grip[0]), grip[3] + 0.5 * (event.pageY - grip[1])]));
    });
    for (const end of ["pointerup", "pointercancel"])
      this.svg.addEventListener(end, () => { if (grip) this.stage.rest(); grip = null; });
    const less = a => (a - first[0] + 540) % 360 - 180; // from half a turn back to half a turn on
    this.handle({ name: "viewpoint", shape: "small", role: "metric", say: (_, s) => `from ${s[key][0]} degrees, ${s[key][1]} degrees up`,
      get: s => [rest[0] + less(s[key][0]) / 90, rest[1] + (s[key][1] - first[1]) / 90],
      set: p => show([first[0] + 90 * (p[0] - rest[0]), first[1] + 90 * (p[1] - rest[1])]) });
  }

  // A point that the reader drags. `get` and `set` go between the state and the panel's plane.
  handle({ key, name, shape = "circle", role = null, get, set, say = p => vector(p), only = "xy" }) {
    const { stage } = this, e = make("div", { class: "lcn-handle", role: "slider", tabindex: 0,
      "aria-label": name, "aria-describedby": stage.hint.id, "aria-valuemin": this.x[0], "aria-valuemax": this.x[1] }, this.box);
    if (only === "y") {
      e.setAttribute("aria-orientation", "vertical");
      e.setAttribute("aria-valuemin", this.y[0]);
      e.setAttribute("aria-valuemax", this.y[1]);
    }
    const mark = make("svg", { viewBox: "-22 -22 44 44", "aria-hidden": "true" }, e);
    const style = `fill:${paint(role)};stroke:var(--lcn-paper);stroke-width:2`;
    if (shape === "star") make("path", { d: `M${STAR(15)}Z`, style }, mark);
    else make("circle", { r: shape === "small" ? 7 : 9, style }, mark);
    get ||= state => state[key];
    set ||= p => ({ [key]: p });
    const move = ([x, y]) => {
      const now = get(stage.state);
      const p = [only === "y" ? now[0] : clamp(x, ...this.x), only === "x" ? now[1] : clamp(y, ...this.y)];
      stage.change(set(p.map(c => Math.round(c * 1e3) / 1e3), stage.state));
    };
    // What lies outside waits at the edge.
    const place = p => [clamp(p[0], ...this.x), clamp(p[1], ...this.y)];
    let grip = null;
    e.addEventListener("pointerdown", event => {
      const p = place(get(stage.state)); // the page may scroll while a finger is down
      grip = [event.pageX - this.px(p[0]), event.pageY - this.py(p[1])];
      try { e.setPointerCapture(event.pointerId); } catch { /* a made-up pointer of a test */ }
      event.preventDefault();
      e.focus({ preventScroll: true });
    });
    e.addEventListener("pointermove", event => {
      if (!grip) return;
      move(this.back(event.pageX - grip[0], event.pageY - grip[1]));
    });
    const drop = () => { if (grip) stage.rest(); grip = null; };
    e.addEventListener("pointerup", drop);
    e.addEventListener("pointercancel", drop);
    e.addEventListener("keydown", event => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
        PageUp: [0, 10], PageDown: [0, -10] }[event.key];
      if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const fine = (this.x[1] - this.x[0]) / 200 * (event.shiftKey ? 10 : 1);
      const fineY = this.equal ? fine : (this.y[1] - this.y[0]) / 200 * (event.shiftKey ? 10 : 1);
      const p = place(get(stage.state));
      move([p[0] + by[0] * fine, p[1] + by[1] * fineY]);
      stage.rest();
    });
    stage.handles.push(() => {
      const p = get(stage.state), hidden = !p;
      if (hidden) return put(e, "style", "display: none");
      const [x, y] = place(p);
      put(e, "style", `transform: translate(${round(this.px(x))}px, ${round(this.py(y))}px)`);
      put(e, "aria-valuenow", p[only === "y" ? 1 : 0].toFixed(3));
      put(e, "aria-valuetext", say(p, stage.state));
    });
    return e;
  }
}

// A picture has `defaults`, `build(stage)`, which makes panels and controls and returns a function
// that draws a state, and `words(state)`, which says what is seen.
export class Stage {
  constructor(host, picture, model) {
    if (!document.getElementById("lcn-touch-style"))
      make("style", { id: "lcn-touch-style" }, document.head, CSS);
    Object.assign(this, { host, picture, model, handles: [], controls: [], all: [], kept: new Map(), jobs: new Map() });
    host.classList.add("lcn-touch");
    host.setAttribute("role", "group");
    host.setAttribute("aria-label", picture.title);
    this.panels = make("div", { class: "lcn-panels" });
    this.rows = make("div");
    this.caption = make("p", { class: "lcn-caption" });
    this.live = make("div", { class: "lcn-hidden", "aria-live": "polite" });
    this.hint = make("div", { class: "lcn-hidden", id: `lcn-hint-${++count}` }, null,
      "Drag it, or press the arrow keys; with Shift it moves in larger steps.");
    host.replaceChildren(this.panels, this.rows, this.caption, this.live, this.hint);
    this.state = { ...picture.defaults, ...model.read() };
    this.first = { ...this.state };
    this.paint = picture.build(this);
    const last = this.row || this.newRow();
    const reset = make("button", { type: "button" }, last, "Reset");
    reset.addEventListener("click", () => { this.stop(); this.change({ ...this.first }); this.rest(); });
    model.listen(patch => this.change(patch, true));
    new MutationObserver(() => { if (this.width) this.draw(); }).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    new ResizeObserver(() => this.resize()).observe(host);
    this.resize();
  }

  newLine() { make("div", { style: "flex-basis: 100%" }, this.panels); }
  newRow() { return this.row = make("div", { class: "lcn-row" }, this.rows); }
  panel(options) { const p = new Panel(this, options); this.all.push(p); return p; }

  resize() {
    const width = this.host.clientWidth;
    if (!width || (width === this.width && window.innerHeight === this.tall)) return;
    this.width = width;
    this.tall = window.innerHeight;
    this.all.forEach(p => p.measure());
    this.draw();
  }

  change(patch, quiet = false) {
    Object.assign(this.state, patch);
    this.touched = performance.now();
    if (!quiet) this.model.write(patch), this.host.setAttribute("data-moving", ""); // until `rest` is done
    if (!this.asked) this.asked = requestAnimationFrame(() => { this.asked = 0; this.draw(); });
  }

  draw() {
    if (this.all.some(p => p.canvas) || !this.ink) this.ink = getComputedStyle(this.host).color;
    this.paint(this.state);
    this.handles.forEach(f => f());
    this.controls.forEach(f => f());
    put(this.caption, "text", this.words());
  }

  words() { return this.picture.words(this.state, this).replaceAll(" = ", "\u00a0=\u00a0"); } // no line breaks there

  // Where a drag ends: words for those who listen, and the address shows what is seen.
  rest() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.asked) { cancelAnimationFrame(this.asked); this.asked = 0; this.draw(); }
      const words = this.words();
      this.live.textContent = words;
      this.all.forEach(p => p.svg.setAttribute("aria-label", `${p.label}. ${words}`));
      this.model.rest(this.state);
      this.host.removeAttribute("data-moving");
    }, 150);
  }

  // What costs time is computed again only when the values it depends on have changed.
  memo(name, values, compute) {
    const key = JSON.stringify(values), old = this.kept.get(name);
    if (old && old.key === key) return old.value;
    const value = compute();
    this.kept.set(name, { key, value });
    return value;
  }

  // What takes longer than a frame: a generator that yields, beside nothing, what it has so far. It runs
  // in pieces between frames; with other values it begins anew, but not before its first answer, so
  // that something follows the finger. The answer may be that of values of a moment ago.
  work(name, values, generator) {
    const key = JSON.stringify(values), job = this.jobs.get(name) || { name };
    this.jobs.set(name, job);
    job.next = { key, generator };
    if (job.key !== key && (!job.running || job.fresh)) this.begin(job);
    return job.value;
  }

  begin(job) {
    Object.assign(job, { key: job.next.key, running: job.next.generator(), fresh: false });
    this.host.setAttribute("data-busy", "");
    this.working ||= requestAnimationFrame(() => this.goOn());
  }

  goOn() {
    this.working = 0;
    const now = performance.now(), end = now + (now - this.touched < 120 ? 2 : 5); // the finger comes first
    let news = false;
    for (const job of this.jobs.values()) {
      while (job.running && performance.now() < end) {
        const { value, done } = job.running.next();
        if (value !== undefined) { job.value = value; job.fresh = news = true; }
        if (done) job.running = null;
        if ((done || job.fresh) && job.key !== job.next.key) this.begin(job);
      }
    }
    if (news && !this.asked) this.draw();
    if ([...this.jobs.values()].some(job => job.running)) this.working ||= requestAnimationFrame(() => this.goOn());
    else this.host.removeAttribute("data-busy");
  }

  // `to` goes from the state's value to the slider's, `from` back.
  slider({ key, label, min, max, step, text = x => number(x), to = x => x, from = x => x, get = s => s[key], set = v => ({ [key]: v }) }) {
    const box = make("label", {}, this.row || this.newRow());
    make("span", {}, box, label);
    const input = make("input", { type: "range", min, max, step, autocomplete: "off" }, box);
    const shown = make("output", {}, box);
    input.addEventListener("input", () => { this.stop(key); this.change(set(from(+input.value), this.state)); this.rest(); });
    this.controls.push(() => {
      const value = get(this.state), words = text(value);
      if (document.activeElement !== input || from(+input.value) !== value) input.value = to(value);
      put(shown, "text", words);
      put(input, "aria-valuetext", words);
    });
    return input;
  }

  // With a play button: time runs through the slider in `seconds`.
  player(options, seconds = 6) {
    const input = this.slider(options), { key, max, min, from = x => x, to = x => x } = options;
    const button = make("button", { type: "button" });
    input.parentElement.before(button);
    const face = on => {
      button.textContent = on ? "❚❚" : "▶";
      button.setAttribute("aria-label", on ? "Pause" : "Play");
    };
    face(false);
    this.stop = which => { // another slider lets it run
      if (which && which !== key) return;
      cancelAnimationFrame(this.running);
      this.running = 0;
      face(false);
    };
    button.addEventListener("click", () => {
      if (this.running) { this.stop(); this.rest(); return; }
      if (to(this.state[key]) >= max - 1e-9) this.change({ [key]: from(min) });
      if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) { // no motion: the end
        this.change({ [key]: from(max) });
        this.rest();
        return;
      }
      face(true);
      let last = null;
      const tick = now => {
        const at = to(this.state[key]) + (last === null ? 0 : (now - last) / 1000 / seconds * (max - min));
        last = now;
        this.change({ [key]: from(Math.min(max, at)) });
        if (at >= max) { this.stop(); this.rest(); } else this.running = requestAnimationFrame(tick);
      };
      this.running = requestAnimationFrame(tick);
    });
  }

  stop() {}

  check({ key, label }) {
    const box = make("label", { class: "lcn-short" }, this.row || this.newRow());
    const input = make("input", { type: "checkbox", autocomplete: "off" }, box);
    make("span", {}, box, label);
    input.addEventListener("change", () => { this.change({ [key]: input.checked }); this.rest(); });
    this.controls.push(() => { input.checked = this.state[key]; });
  }

  // Options are [value, text]; it is there for the states that are `shown`.
  choice({ key, label, options, get = s => s[key], set = v => ({ [key]: v }), shown = () => true }) {
    const box = make("label", { class: "lcn-short" }, this.row || this.newRow());
    make("span", {}, box, label);
    const menu = make("select", { autocomplete: "off" }, box);
    options.forEach(([, text], i) => make("option", { value: i }, menu, text));
    menu.addEventListener("change", () => { this.change(set(options[menu.value][0], this.state)); this.rest(); });
    this.controls.push(() => {
      menu.value = options.findIndex(([v]) => v === get(this.state));
      put(box, "style", shown(this.state) ? "" : "display: none");
    });
  }

  button(label, action) {
    const e = make("button", { type: "button" }, this.row || this.newRow(), label);
    e.addEventListener("click", () => { this.change(action(this.state)); this.rest(); });
  }
}

// Look at space from an angle: [x, y, z] to the plane of a panel.
export function camera(azimuth, elevation) {
  const [a, e] = [azimuth, elevation].map(x => x * Math.PI / 180);
  const [ca, sa, ce, se] = [Math.cos(a), Math.sin(a), Math.cos(e), Math.sin(e)];
  return ([x, y, z]) => [-sa * x + ca * y, -se * (ca * x + sa * y) + ce * z];
}
