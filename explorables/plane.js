// One training run of k = (2, 1), seen twice: three weights on a surface, and their filter in a plane.
import * as lcn from "./lcn.js";
import { look, number, vector } from "./stage.js";
import { above, surface, view, weightAxes } from "./surface.js";

const net = lcn.LCN([2, 1]), TIMES = Array.from({ length: 61 }, (_, i) => 6 * (i / 60) ** 2);
const WAYS = [-3, 0, 3], DISC = 0.2;

function run({ start, target }, delta, t, rtol) {
  const loss = lcn.QuadraticLoss(target);
  return lcn.gradient_flow(net, loss, above(start, delta), t, rtol, true);
}

// Where the weight of layer 2 changes its sign, v passes zero: δ < 0 alone lets it.
const meets = flow => {
  const i = flow.filters.findIndex((w, j) => j > 0 && w[1][0] * flow.filters[j - 1][1][0] < 0);
  if (i < 0) return null;
  const [a, b] = [i - 1, i].map(j => flow.filters[j][1][0]), [s, t] = [flow.t[i - 1], flow.t[i]];
  return s + (t - s) * a / (a - b);
};
const three = (state, stage) => stage.memo("ways", [state.start, state.target],
  () => WAYS.map(d => run(state, d, TIMES, 1e-4)));
const whole = (state, stage) => WAYS.includes(state.delta) ? three(state, stage)[WAYS.indexOf(state.delta)]
  : stage.memo("whole", [state.start, state.target, state.delta], () => run(state, state.delta, TIMES, 1e-4));
const now = (state, stage) => stage.memo("now", [state.start, state.target, state.delta, state.time], () => {
  const flow = run(state, state.delta, [0, Math.max(state.time, 1e-9)], 1e-6), w = flow.filters[1];
  const gradient = lcn.plus(flow.end_to_end[1], state.target, -1), K = lcn.ntk(net, w);
  return { w, v: flow.end_to_end[1], loss: flow.loss[1], K, gradient,
    velocity: K.map(row => -lcn.dot(row, gradient)) };
});

function build(stage) {
  const outside = stage.panel({ label: "Outside: the plane of filters", x: [-2, 3], y: [-1.6, 2.4],
    xlabel: "v₀", ylabel: "v₁", names: WAYS.map(d => `δ = ${number(d, 0)}`) });
  const inside = stage.panel({ label: "Inside: three weights on their surface", x: [-3.4, 3.4], y: [-2.2, 3.9], ticks: false, tall: 290 });
  stage.player({ key: "time", label: "time", min: 0, max: 1, step: 0.005, to: t => Math.sqrt(t / 6), from: p => 6 * p * p });
  stage.slider({ key: "delta", label: "start δ", min: -4, max: 4, step: 0.1, text: d => number(d, 1),
    from: d => +d.toFixed(1) });
  stage.newRow();
  stage.check({ key: "rulers", label: "rulers everywhere" });
  outside.handle({ key: "start", name: "start of v", set: p => ({ start: lcn.norm(p) < 0.05 ? [0.05, 0] : p }) });
  outside.handle({ key: "target", name: "target", shape: "star", role: "target" });

  const first = stage.first, point = w => view([...w[0], w[1][0]]);
  return state => {
    const { start, target, delta } = state, at = now(state, stage), mine = look(delta);
    const ways = three(state, stage);
    const way = stage.memo("way", [start, target, delta], () => {
      const flow = whole(state, stage);
      return { ...flow, inside: flow.filters.map(point) };
    });
    const passed = way.t.filter(t => t < state.time).length;
    const walked = [...way.end_to_end.slice(0, passed), at.v];
    outside.frame(() => {
      const r0 = Math.max(0.3, lcn.norm(lcn.plus(start, target, -1)));
      outside.circles("levels", target, [r0 / 4, r0 / 2, 3 * r0 / 4, r0], { width: 1, opacity: 0.25 });
      if (state.rulers) {
        const grid = [];
        for (let x = -1.75; x < 3; x += 0.75) for (let y = -1.35; y < 2.4; y += 0.75) {
          const w = above([x, y], delta);
          grid.push(...lcn.ellipse(lcn.ntk(net, w), [x, y], 0.1, 25), [NaN, 0]);
        }
        outside.line("grid", grid, { role: "metric", width: 1 });
      }
      outside.line("cross", [[-0.08, 0], [0.08, 0], [NaN, 0], [0, -0.08], [0, 0.08]], { width: 1 });
      WAYS.forEach((d, i) => outside.line(`way${d}`, ways[i].end_to_end, { ...look(d), width: 1.5 }));
      outside.line("walked", walked, { role: mine.role, width: 4 });
      outside.line("ruler", lcn.ellipse(at.K, at.v, DISC), { width: 2 });
      if (meets(way) !== null) outside.dot("through", [0, 0], { fill: "paper", r: 6, width: 2 });
      const size = lcn.norm(at.gradient);
      if (size > 0.02) {
        const arrow = a => lcn.plus(at.v, a, 0.6 / lcn.norm(a));
        outside.arrow("plain", at.v, arrow(lcn.times(-1, at.gradient)), { role: "metric", width: 2 });
        outside.arrow("steepest", at.v, arrow(at.velocity), { role: mine.role, width: 3 });
      }
      outside.dot("v", at.v, { r: 4, fill: "currentColor" });
      outside.legend(WAYS.map(look));
      if (String(target) === String(first.target)) outside.text("hint", target, "drag the star", { dx: 20, dy: 5 });
    });
    inside.frame(() => {
      inside.line("surface", stage.memo("surface", delta, () => surface(delta)), { role: "metric", width: 0.7 });
      weightAxes(inside);
      inside.line("way", way.inside, { ...mine, width: 1.5 });
      inside.line("walked", [...way.inside.slice(0, passed), point(at.w)], { role: mine.role, width: 4 });
      const { values, vectors } = lcn.eigh(at.K);
      const [p, q] = vectors.map((u, i) => lcn.horizontal_lift(net, at.w, lcn.times(Math.sqrt(values[i]), u)).flat());
      inside.line("disc", Array.from({ length: 41 }, (_, i) => {
        const a = Math.PI * i / 20;
        return view(lcn.plus(lcn.plus(at.w.flat(), p, DISC * Math.cos(a)), q, DISC * Math.sin(a)));
      }), { width: 2 });
      inside.dot("w", point(at.w), { r: 4, fill: "currentColor" });
    });
  };
}

function words(state, stage) {
  const { v, loss, K } = now(state, stage), [short, long] = lcn.eigh(K).values.map(x => DISC * Math.sqrt(x));
  const zero = meets(whole(state, stage));
  return `Time ${number(state.time)}, δ = ${number(state.delta, 1)}: the filter is at ${vector(v, 3)}, the loss is ` +
    `${number(loss, 3)}. The disc of radius ${DISC} on the surface has become an ellipse with half-axes ` +
    `${number(long)} and ${number(short)}.${zero === null ? "" : ` At time ${number(zero)} v passes zero.`}`;
}

export const plane = { title: "One training run, seen from outside and from inside", build, words,
  defaults: { start: [2.2, -0.5], target: [-0.7, 1.4], delta: -3, time: 0.4, rulers: false } };
