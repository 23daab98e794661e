// Stride one, k = (2, 2): the walk of v touches the disc of what cannot be expressed, and turns back.
import * as lcn from "./lcn.js";
import { camera, look, number, vector } from "./stage.js";

const net = lcn.LCN([2, 2]), TIME = 3, N = 120;
const TIMES = Array.from({ length: N + 1 }, (_, i) => TIME * i / N);

// Seen along the axis of the cone v₁² = 4 v₀v₂: at height v₀ + v₂ the cone is a circle of this radius.
const above = v => [v[1], v[2] - v[0]];
const height = v => v[0] + v[2];
const FROM = [25, 14], TALL = 2.6;
const circle = (h, n = 48) => Array.from({ length: n + 1 }, (_, i) => [h * Math.cos(2 * Math.PI * i / n), h * Math.sin(2 * Math.PI * i / n), h]);
const det = ([p, q]) => p[0] * q[1] - p[1] * q[0];
const aim = ({ target: [x, y], level }) => [(level - y) / 2, x, (level + y) / 2];

function run(state) {
  const flow = lcn.gradient_flow(net, lcn.QuadraticLoss(aim(state)), [state.first, state.second], TIMES, 1e-7, true);
  const d = flow.filters.map(det), turns = [];
  for (let i = 1; i <= N; i++)
    if (d[i - 1] * d[i] < 0) turns.push(TIMES[i - 1] + TIME / N * d[i - 1] / (d[i - 1] - d[i]));
  return { ...flow, det: d, turns };
}
// The cone in space: rings and rays, to both sides of zero.
function cone(see) {
  const lines = [];
  for (const h of [-TALL, -TALL / 2, TALL / 2, TALL]) lines.push(...circle(h).map(see), [NaN, 0]);
  for (const [x, y, h] of circle(TALL, 16)) lines.push(see([-x, -y, -h]), see([x, y, h]), [NaN, 0]);
  return lines;
}
const kept = (state, stage) => stage.memo("run", [state.first, state.second, state.target, state.level], () => run(state));
const index = time => Math.min(N, Math.round(time / TIME * N));

// A kernel at v, seen from zero: what moves v along its ray moves the disc as well.  (Seen from
// above, the two kernels are one circle.)
function shadow(K, v) {
  const h = height(v), ray = lcn.times(h / (h * h + 1e-3), above(v));
  const P = [[0, 1, 0], [-1, 0, 1]].map((p, i) => lcn.plus(p, [1, 0, 1], -ray[i])), PK = P.map(p => K.map(row => lcn.dot(row, p)));
  return P.map(p => PK.map(q => lcn.dot(p, q)));
}

function build(stage) {
  const arrows = stage.panel({ label: "The two filters as arrows", x: [-2, 2], y: [-2, 2], xlabel: "entry 0", ylabel: "entry 1", tall: 300, names: ["w₁", "w₂"] });
  const top = stage.panel({ label: "v and the disc that cannot be expressed, seen along the axis of the cone", x: [-3.6, 3.6], y: [-3.6, 3.6], xlabel: "v₁", ylabel: "v₂ − v₀", tall: 300 });
  const space = stage.panel({ label: "The cone in space: inside of it nothing can be expressed", x: [-3.6, 3.6], y: [-3.6, 3.6], ticks: false, tall: 300, ylabel: "drag: turn and tilt" });
  const line = stage.panel({ label: "The determinant of the two filters over time", x: [0, TIME], y: [-6, 6], equal: false, ratio: 0.8, xlabel: "time", ylabel: "det(w₁, w₂)", tall: 300 });
  arrows.handle({ key: "first", name: "first filter", role: "layer 1", set: p => ({ first: lcn.norm(p) < 0.05 ? [0.05, 0] : p }) });
  arrows.handle({ key: "second", name: "second filter", role: "layer 2", set: p => ({ second: lcn.norm(p) < 0.05 ? [0.05, 0] : p }) });
  top.handle({ key: "target", name: "target", shape: "star", role: "target" });
  stage.player({ key: "time", label: "time", min: 0, max: TIME, step: TIME / N, from: t => +t.toFixed(3) });
  space.turns({ key: "view", rest: [-2.6, -3], first: FROM });
  stage.newRow();
  // The same v with another δ: both filters are scaled.
  stage.slider({ label: "δ", min: -3, max: 3, step: 0.1, text: d => number(d), from: d => +d.toFixed(1),
    get: s => +lcn.invariants(net, [s.first, s.second])[0].toFixed(3), set: (d, s) => {
      const [first, second] = lcn.rescale(net, [s.first, s.second], [d]);
      return { first, second };
    } });
  stage.slider({ key: "level", label: "target height", min: -2, max: 3, step: 0.1, text: x => number(x, 1), from: x => +x.toFixed(1) });
  return state => {
    const flow = kept(state, stage), i = index(state.time), w = flow.filters[i], v = flow.end_to_end[i];
    const delta = flow.invariants[0][0], mine = look(delta);
    arrows.frame(() => {
      arrows.line("axes", [[-2, 0], [2, 0], [NaN, 0], [0, -2], [0, 2]], { width: 1, opacity: 0.4 });
      [0, 1].forEach(k => {
        const role = `layer ${k + 1}`;
        arrows.line(`path${k}`, flow.filters.map(x => x[k]), { role, width: 1.5, dash: "2 4" });
        arrows.line(`walked${k}`, flow.filters.slice(0, i + 1).map(x => x[k]), { role, width: 2 });
        arrows.arrow(`arrow${k}`, [0, 0], w[k], { role, width: 4 });
      });
      arrows.legend([{ role: "layer 1", width: 4 }, { role: "layer 2", width: 4 }]);
    });
    top.frame(() => {
      const r = Math.abs(height(v)), goal = Math.abs(state.level);
      top.circles("disc", [0, 0], [r], { role: "metric", fill: "metric", width: 2, opacity: 0.35 });
      top.circles("rim", [0, 0], [r], { width: 1.5 });
      if (r > 0.9) top.text("none", [0, 0], "not expressible", { anchor: "middle" });
      top.circles("goal", [0, 0], [goal], { role: "target", width: 1, dash: "3 3" });
      w.forEach((x, k) => { // each filter is a tangent of the circle, where v would be if both were like it
        const s = height(v) / lcn.dot(x, x), c = above(lcn.times(s, lcn.multiply(x, x))), t = [-c[1], c[0]];
        top.line(`tangent${k}`, [lcn.plus(c, t, 9), lcn.plus(c, t, -9)], { role: `layer ${k + 1}`, width: 1.2, dash: k ? "8 4" : "" });
      });
      top.line("way", flow.end_to_end.map(above), { ...mine, width: 1.5 });
      top.line("walked", flow.end_to_end.slice(0, i + 1).map(above), { role: mine.role, width: 4 });
      const other = lcn.rescale(net, [w[1], w[0]], [delta]);
      top.line("other", lcn.ellipse(shadow(lcn.ntk(net, other), v), above(v), 0.3), { width: 1.5, dash: "3 3" });
      top.line("mine", lcn.ellipse(shadow(lcn.ntk(net, w), v), above(v), 0.3), { width: 2 });
      top.dot("v", above(v), { r: 4, fill: "currentColor" });
    });
    const see = camera(...state.view), point = x => see([...above(x), height(x)]);
    space.frame(() => {
      space.line("cone", stage.memo("cone", state.view, () => cone(see)), { role: "metric", width: 0.7 });
      space.line("axis", [see([0, 0, -TALL]), see([0, 0, TALL])], { width: 1, dash: "2 4" });
      space.text("axisname", see([0, 0, TALL]), "v₀ + v₂", { anchor: "middle", dy: -14 });
      space.line("rim", circle(height(v)).map(see), { width: 1.5 });
      space.line("way", flow.end_to_end.map(point), { ...mine, width: 1.5 });
      space.line("walked", flow.end_to_end.slice(0, i + 1).map(point), { role: mine.role, width: 4 });
      space.dot("target", point(aim(state)), { role: "target", r: 6 });
      space.dot("v", point(v), { r: 4, fill: "currentColor" });
    });
    line.frame(() => {
      line.line("zero", [[0, 0], [TIME, 0]], { width: 1 });
      line.line("det", flow.det.map((d, n) => [TIMES[n], d]), { role: mine.role, width: 3 });
      flow.turns.forEach((t, n) => line.dot(`turn${n}`, [t, 0], { role: "target", r: 6 }));
      line.line("now", [[TIMES[i], -6], [TIMES[i], 6]], { width: 1, dash: "2 3" });
      line.dot("here", [TIMES[i], flow.det[i]], { r: 4, fill: "currentColor" });
    });
  };
}

function words(state, stage) {
  const flow = kept(state, stage), i = index(state.time);
  const turn = flow.turns.length ? `It passes zero at time ${flow.turns.map(t => number(t)).join(" and ")}: there v touches the disc and turns back, a bounce.`
    : "It never passes zero: no bounce.";
  return `δ = ${number(flow.invariants[0][0], 3)}. At time ${number(TIMES[i])} v is at ${vector(flow.end_to_end[i], 3)}, ` +
    `and det(w₁, w₂) = ${number(flow.det[i], 3)}. ${turn}`;
}

export const bounce = { title: "Two filters of stride one: find a start that bounces", build, words,
  defaults: { first: [1.2, 0.9], second: [0.3, 1], target: [-2, 1.5], level: 1, time: 0.5, view: FROM } };
