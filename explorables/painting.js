// Two 3 × 3 filters, painted cell by cell, their 5 × 5 product, and what it does to a photograph.
import * as lcn from "./lcn.js";
import { SIDE, photograph } from "./photograph.js";
import { number } from "./stage.js";

const BLUR = [[0, 1, 0], [1, 4, 1], [0, 1, 0]].map(row => row.map(x => x / 8));
const EDGE = [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]].map(row => row.map(x => x / 4));
const PAIRS = { "blur and edges": [BLUR, EDGE], "two blurs": [BLUR, BLUR], "two edges": [EDGE, EDGE] };
const net = lcn.LCN([9, 9]); // for what only counts entries: norms, δ, scaling
const flat = ({ first, second }) => [first.flat(), second.flat()];
const table = w => [0, 3, 6].map(i => w.slice(i, i + 3).map(x => +x.toFixed(6)));

export function product(p, q) {
  const out = Array.from({ length: 5 }, () => Array(5).fill(0));
  p.forEach((row, a) => row.forEach((x, b) => q.forEach((line, c) => line.forEach((y, d) => { out[a + c][b + d] += x * y; }))));
  return out;
}

// The output at all places where the filter fits, stretched to all greys from black to white.
function output(v) {
  const n = SIDE - 4, out = new Float32Array(n * n);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
    let s = 0;
    for (let a = 0; a < 5; a++) for (let b = 0; b < 5; b++) s += v[a][b] * photograph[(i + a) * SIDE + j + b];
    out[i * n + j] = s;
    low = Math.min(low, s);
    high = Math.max(high, s);
  }
  return out.map(x => high > low ? (x - low) / (high - low) : 0.5);
}

// Squares whose area tells the size of an entry: full ones are positive, open ones negative.
function squares(panel, v, most, role) {
  const n = v.length, full = [], open = [], grid = [];
  v.forEach((row, i) => row.forEach((x, j) => {
    const s = 0.46 * Math.sqrt(Math.min(1, Math.abs(x) / most)), a = j + 0.5, b = n - i - 0.5;
    if (s > 0.02) (x > 0 ? full : open).push([a - s, b - s], [a + s, b - s], [a + s, b + s], [a - s, b + s], [a - s, b - s], [NaN, 0]);
  }));
  for (let i = 0; i <= n; i++) grid.push([0, i], [n, i], [NaN, 0], [i, 0], [i, n], [NaN, 0]);
  panel.line("grid", grid, { width: 1, opacity: 0.35 });
  panel.line("full", full, { role, fill: role || "currentColor", width: 2 });
  panel.line("open", open, { role, width: 2 });
}

function build(stage) {
  const cells = (label, n, tall, basis) => stage.panel({ label, x: [0, n], y: [0, n + 0.45], ticks: false, tall, basis });
  const layers = ["first", "second"].map((key, k) => cells(`Layer ${k + 1}, nine cells`, 3, 230, 160));
  const result = cells("The product, 25 cells", 5, 230, 160);
  stage.newLine();
  const view = label => stage.panel({ label, x: [0, 1], y: [0, 1], ticks: false, tall: 260, basis: 160 });
  const before = view("The photograph that comes in"), after = view("The photograph after both layers");
  ["first", "second"].forEach((key, k) => layers[k].cells({ n: 3, low: -2, high: 2, get: s => s[key], name: (i, j) => `layer ${k + 1}, row ${i + 1}, column ${j + 1}`,
    set: (i, j, x, s) => ({ [key]: s[key].map((row, a) => row.map((y, b) => a === i && b === j ? x : y)) }) }));
  stage.newRow();
  stage.button("Exchange the layers", s => {
    const [p, q] = flat(s), delta = lcn.invariants(net, [p, q]);
    const [a, b] = p.some(x => x) && q.some(x => x) ? lcn.rescale(net, [q, p], delta) : [q, p];
    return { first: table(a), second: table(b) };
  });
  Object.entries(PAIRS).forEach(([name, [first, second]]) => stage.button(name, () => ({ first, second })));
  return state => {
    const v = stage.memo("product", [state.first, state.second], () => product(state.first, state.second));
    layers.forEach((panel, k) => panel.frame(() => {
      const w = [state.first, state.second][k];
      squares(panel, w, 1, `layer ${k + 1}`);
      w.forEach((row, i) => row.forEach((x, j) => panel.text(`n${i}${j}`, [j + 0.5, 2.5 - i], number(x), { anchor: "middle", dy: 0.5 * panel.unit - 3 })));
      panel.text("name", [0, 3], `layer ${k + 1}`, { dy: -5 });
    }));
    result.frame(() => {
      squares(result, v, Math.max(1e-9, ...v.flat().map(Math.abs)));
      result.text("name", [0, 5], "product", { dy: -5 });
    });
    before.frame(() => before.raster(photograph, SIDE, SIDE, null));
    after.frame(() => after.raster(stage.memo("output", v, () => output(v)), SIDE - 4, SIDE - 4, null));
  };
}

function words(state) {
  const w = flat(state), v = product(state.first, state.second).flat(), delta = lcn.invariants(net, w)[0];
  const place = v.reduce((best, x, i) => Math.abs(x) > Math.abs(v[best]) ? i : best, 0);
  const [p, q] = w.map(x => lcn.times(1 / (lcn.norm(x) || 1), x)), turned = 1 - Math.abs(lcn.dot(p, q)) > 1e-6;
  const other = !turned ? "The filters are parallel: exchanged, they are the same two."
    : `Exchanged, the layers make the same product with ${Math.abs(delta) < 5e-4 ? "δ = 0 and the same kernel" : "the same δ, but with another kernel"}.`;
  return `δ = ${number(delta, 3)}. The 25 entries of the product sum to ${number(v.reduce((a, b) => a + b), 3)}; the largest, ` +
    `${number(v[place], 3)}, is in row ${Math.floor(place / 5) + 1}, column ${place % 5 + 1}. ${other}`;
}

export const painting = { title: "Paint two filters, and look through them", build, words,
  defaults: { first: BLUR, second: EDGE } };
