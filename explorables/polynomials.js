// Two filters, their polynomials, their product, and what it does to a signal.
import * as lcn from "./lcn.js";
import { number, vector } from "./stage.js";

const WAVES = {
  step: i => i < 8 ? -1 : 1, spike: i => i === 8 ? 2 : 0,
  wave: i => 1.5 * Math.sin(0.8 * i), zigzag: i => i % 2 ? 1 : -1,
};
const LENGTH = 17;
const signal = name => Array.from({ length: LENGTH }, (_, i) => +WAVES[name](i).toFixed(3));
const REAL = 0.12; // a root this near to the real axis is pulled onto it

const net = state => lcn.LCN([3, 2], [state.stride, 1]);
const filters = state => [state.first, state.second];

// The roots of p2(x^s): the s-th roots of the one of p2.
function spread(second, stride) {
  if (second[1] === 0) return [];
  const y = -second[0] / second[1], r = Math.abs(y) ** (1 / stride), turn = y < 0 ? Math.PI : 0;
  return Array.from({ length: stride }, (_, i) => {
    const a = (turn + 2 * Math.PI * i) / stride;
    return [r * Math.cos(a), r * Math.sin(a)];
  });
}

// The first filter with the root number `which` moved to z; a complex one takes its partner along.
function withRoot(state, which, z) {
  const old = lcn.roots(state.first), top = state.first[2];
  const pair = Math.abs(z[1]) >= REAL ? [z, [z[0], -z[1]]]
    : old[0][1] !== 0 ? [[z[0], 0], [z[0], 0]] : old.map((r, i) => i === which ? [z[0], 0] : r);
  return { first: lcn.from_roots(pair).map(c => +(top * c).toFixed(6)) };
}

// The second filter with one of its spread roots at z, or as near to it as its line of roots allows.
function withSpread(second, stride, z) {
  const y = Math.hypot(...z) ** stride * Math.cos(stride * Math.atan2(z[1], z[0]));
  return [+(-y * second[1]).toFixed(6), second[1]];
}

function build(stage) {
  const taps = stage.panel({ label: "The two filters as bars", x: [-0.6, 5.1], y: [-2.5, 2.5], equal: false, ratio: 0.62, tall: 230, xlabel: "w₁ and w₂", bare: true });
  const product = stage.panel({ label: "The end-to-end filter as bars", x: [-0.6, 5.6], y: [-5, 5], equal: false, ratio: 0.62, tall: 230, xlabel: "v; dots: layer 1 times each entry of layer 2", bare: true });
  const plane = stage.panel({ label: "Roots in the complex plane", x: [-2.6, 2.6], y: [-2, 2], tall: 270, xlabel: "real part", ylabel: "imaginary", names: ["layer 1", "layer 2"] });
  const wave = stage.panel({ label: "The signal and the output", x: [-0.5, 16.5], y: [-8, 8], equal: false, ratio: 0.77, tall: 270, xlabel: "place", names: ["input: draw in it", "output"] });
  const tap = (key, i, x, name, role) => taps.handle({ key, name, role, only: "y", get: s => [x, s[key][i]],
    set: (p, s) => ({ [key]: s[key].map((c, j) => j === i ? p[1] : c) }), say: p => number(p[1]) });
  for (let i = 0; i < 3; i++) tap("first", i, i, `layer 1, entry ${i}`, "layer 1");
  for (let i = 0; i < 2; i++) tap("second", i, 3.5 + i, `layer 2, entry ${i}`, "layer 2");
  const shown = (s, i) => s.first[2] === 0 ? null : lcn.roots(s.first)[i];
  plane.handle({ name: "root of layer 1", role: "layer 1", shape: "small", get: s => shown(s, 1) || lcn.roots(s.first)[0] || null,
    set: (p, s) => withRoot(s, 1, p) });
  plane.handle({ name: "other root of layer 1", role: "layer 1", shape: "small",
    get: s => { const z = shown(s, 0); return z && z[1] === 0 ? z : null; }, set: (p, s) => withRoot(s, 0, p) });
  let touched = null; // the root of layer 2 that is in hand
  plane.handle({ name: "root of layer 2", role: "layer 2", shape: "small", get: s => {
    const all = spread(s.second, s.stride), far = z => touched ? Math.hypot(z[0] - touched[0], z[1] - touched[1]) : 0;
    return all.reduce((best, z) => best && far(best) <= far(z) ? best : z, null);
  }, set: (p, s) => ({ second: withSpread(s.second, s.stride, touched = p) }) });
  wave.pen({ set: (i, y, s) => ({ signal: s.signal.map((c, j) => j === i ? y : c) }), low: -2, high: 2 });
  stage.newRow();
  stage.slider({ key: "stride", label: "stride of layer 1", min: 1, max: 3, step: 1, text: s => `${s}` });
  Object.keys(WAVES).forEach(name => stage.button(name, () => ({ signal: signal(name) })));

  return state => {
    const arch = net(state), v = lcn.end_to_end(arch, filters(state)), s = state.stride;
    const output = lcn.apply(arch, filters(state), state.signal);
    taps.frame(() => {
      taps.line("zero", [[-0.6, 0], [5.1, 0]], { width: 1 });
      taps.bars("w1", state.first, { role: "layer 1" });
      taps.line("w2", [[3.5, 0], [3.5, state.second[0]], [NaN, 0], [4.5, 0], [4.5, state.second[1]]], { role: "layer 2", width: 8 });
    });
    product.frame(() => {
      product.line("zero", [[-0.6, 0], [5.6, 0]], { width: 1 });
      product.bars("v", v);
      // What one entry of layer 2 contributes: layer 1 again, shifted by the stride.
      state.second.forEach((c, j) => state.first.forEach((a, i) =>
        product.dot(`part${i}${j}`, [i + j * s + (j ? 0.22 : -0.22), a * c], { role: "layer 2", fill: j ? "layer 2" : "paper", r: 4 })));
      v.forEach((c, i) => product.text(`v${i}`, [i, c], number(c, 1), { anchor: "middle", dy: c < 0 ? 18 : -8 }));
    });
    plane.frame(() => {
      plane.line("axes", [[-2.6, 0], [2.6, 0], [NaN, 0], [0, -2], [0, 2]], { width: 1, opacity: 0.5 });
      plane.circles("circle", [0, 0], [1], { width: 1, opacity: 0.5 });
      lcn.roots(state.first).forEach((z, i) => plane.dot(`p${i}`, z, { role: "layer 1", r: 7 }));
      spread(state.second, s).forEach((z, i) => plane.dot(`q${i}`, z, { role: "layer 2", fill: "paper", width: 3, r: 6 }));
      plane.legend([{ role: "layer 1", width: 5 }, { role: "layer 2", width: 5 }]);
    });
    wave.frame(() => {
      wave.line("zero", [[-0.5, 0], [16.5, 0]], { width: 1, opacity: 0.5 });
      wave.line("in", state.signal.map((y, i) => [i, y]), { role: "metric", width: 1.5 });
      wave.dots("ins", state.signal.map((y, i) => [i, y]), { role: "metric", fill: "metric", r: 3 });
      const middle = (v.length - 1) / 2;
      wave.line("out", output.map((y, n) => [n * s + middle, y]), { width: 2 });
      wave.dots("outs", output.map((y, n) => [n * s + middle, y]), { fill: "currentColor", r: 4 });
      wave.legend([{ role: "metric" }, { width: 3 }]);
    });
  };
}

const root = ([x, y]) => y === 0 ? number(x) : `${number(x)} ± ${number(Math.abs(y))}i`;

function words(state) {
  const v = lcn.end_to_end(net(state), filters(state)), z = lcn.roots(state.first);
  const own = z.length && z[0][1] !== 0 ? [root(z[0])] : z.map(root);
  return `(${state.first.map(c => number(c)).join(", ")}) and ${vector(state.second)} with stride ${state.stride} make ` +
    `v = ${vector(v)}. Roots of layer 1: ${own.join(" and ") || "none"}. Layer 2 adds ` +
    `${spread(state.second, state.stride).length}, spread by the stride.`;
}

export const polynomials = { title: "Two filters, their roots and their product", build, words,
  defaults: { first: [2, 1, -1], second: [1, 1], stride: 2, signal: signal("step") } };
