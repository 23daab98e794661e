// Two layers of one weight each: gradient flow stays on its hyperbola, gradient descent drifts off.
import * as lcn from "./lcn.js";
import { look, number, vector } from "./stage.js";

const net = lcn.LCN([1, 1]), TIME = 6, LAST = 120;
const TIMES = Array.from({ length: LAST + 1 }, (_, i) => TIME * (i / LAST) ** 2);
const weights = p => [[p[0]], [p[1]]];
const points = path => path.map(w => [w[0][0], w[1][0]]);

function runs({ start, target, step }) {
  const loss = lcn.QuadraticLoss([target]), n = Math.ceil(TIME / step - 1e-9);
  return { flow: lcn.gradient_flow(net, loss, weights(start), TIMES, 1e-7, true),
    steps: lcn.gradient_descent(net, loss, weights(start), step, n) };
}

function hyperbola(delta) { // w2² - w1² = delta, both branches
  const a = Math.sqrt(Math.abs(delta)), out = [];
  for (const sign of [1, -1]) {
    for (let i = -20; i <= 20; i++) {
      const u = i / 8, x = a * Math.sinh(u), y = sign * a * Math.cosh(u);
      out.push(delta > 0 ? [x, y] : delta < 0 ? [y, x] : [i / 6, sign * i / 6]);
    }
    out.push([NaN, 0]);
  }
  return out;
}

function build(stage) {
  const plane = stage.panel({ label: "The plane of the two weights", x: [-2.5, 2.5], y: [-2.5, 2.5], xlabel: "w₁", ylabel: "w₂", names: ["flow", "descent", "w₁w₂ = target"] });
  const drift = stage.panel({ label: "The invariant δ over time", x: [0, TIME], y: [-6.5, 6.5], equal: false, ratio: 0.8, xlabel: "time", ylabel: "δ", tall: 300 });
  plane.handle({ key: "start", name: "start of the weights" });
  stage.slider({ key: "step", label: "step size", min: -2, max: 0, step: 0.02, to: Math.log10, from: p => +(10 ** p).toPrecision(3), text: x => number(x, 3) });
  stage.slider({ key: "target", label: "target", min: -2, max: 2, step: 0.1, text: x => number(x, 1), from: x => +x.toFixed(1) });
  const levels = [-3, -1.5, 0, 1.5, 3].map(d => [d, hyperbola(d)]);
  return state => {
    const { flow, steps } = stage.memo("runs", [state.start, state.target, state.step], () => runs(state));
    const delta = flow.invariants[0][0];
    plane.frame(() => {
      levels.forEach(([d, points]) => plane.line(`h${d}`, points, { ...look(d), width: 1, opacity: 0.5 }));
      plane.line("mine", hyperbola(delta), { ...look(delta), width: 1.5 });
      const t = state.target, goal = [];
      for (const sign of [1, -1]) {
        for (let i = -24; i <= 24; i++) {
          const x = sign * Math.exp(i / 8);
          goal.push(t === 0 ? (sign > 0 ? [i / 8, 0] : [0, i / 8]) : [x, t / x]);
        }
        goal.push([NaN, 0]);
      }
      plane.line("goal", goal, { role: "target", width: 3, dash: "2 6" });
      plane.line("flow", points(flow.filters), { role: look(delta).role, width: 4 });
      const way = points(steps.filters);
      plane.line("descent", way, { width: 1 });
      plane.dots("steps", way.slice(0, 100), { fill: "paper", r: 3.5 });
      plane.legend([{ role: look(delta).role, width: 4 }, { width: 1 }, { role: "target", width: 3, dash: "2 6" }]);
    });
    drift.frame(() => {
      drift.line("zero", [[0, 0], [TIME, 0]], { width: 1, opacity: 0.5 });
      drift.line("flow", flow.t.map((t, i) => [t, flow.invariants[i][0]]), { role: look(delta).role, width: 4 });
      const way = steps.invariants.map((d, i) => [i * state.step, d[0]]);
      drift.line("descent", way, { width: 1 });
      drift.dots("steps", way.slice(0, 100), { fill: "paper", r: 3.5 });
    });
  };
}

function words(state, stage) {
  const { flow, steps } = stage.memo("runs", [state.start, state.target, state.step], () => runs(state));
  const last = steps.invariants.length - 1, delta = flow.invariants[0][0];
  const end = steps.invariants[last][0];
  const went = Math.abs(end) < 1e3 ? `ends with δ = ${number(end, 3)}, a drift of ${number(end - delta, 3)}` : "blows up";
  return `From ${vector(state.start)} the flow keeps δ = ${number(delta, 3)} and goes to ` +
    `${vector(points(flow.filters)[LAST], 3)}. Gradient descent with step ${number(state.step, 3)} ${went}.`;
}

export const hyperbolas = { title: "Gradient flow keeps δ, gradient descent does not", build, words,
  defaults: { start: [1.8, -1.3], target: 1, step: 0.25 } };
