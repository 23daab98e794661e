// Shortest ways in the metric of δ: shot from a point, seen in the plane of filters and on the surface.
import * as lcn from "./lcn.js";
import { camera, look, number, vector } from "./stage.js";
import { FROM, above, surface, weightAxes } from "./surface.js";

const net = lcn.LCN([2, 1]), N = 90, LONG = 3;

// The geodesic with this velocity at s = 0 … LONG, up to where a filter vanishes.
function shoot(start, velocity, delta) {
  const s = Array.from({ length: N + 1 }, (_, i) => LONG * i / N);
  const w = lcn.geodesic_filters(net, above(start, delta), velocity, s, 1e-7, true);
  // There v = 0: w2 changes its sign, or w1 turns by a half turn at once.
  const zero = w.findIndex((x, i) => i > 0 && (x[1][0] <= 1e-6 || lcn.dot(x[0], w[i - 1][0]) <= 0));
  const filters = zero < 0 ? w : w.slice(0, zero);
  return { filters, v: filters.map(x => lcn.end_to_end(net, x)), ends: zero < 0 ? null : LONG * zero / N };
}

const velocity = ({ start, tip }) => {
  const a = lcn.plus(tip, start, -1);
  return lcn.norm(a) < 1e-3 ? [1e-3, 0] : a;
};

const own = (state, stage) => stage.memo("own", [state.start, state.tip, state.delta],
  () => shoot(state.start, velocity(state), state.delta));

function build(stage) {
  const plane = stage.panel({ label: "The plane of filters", x: [-2.5, 2.5], y: [-2, 2], xlabel: "v₀", ylabel: "v₁" });
  const space = stage.panel({ label: "The surface, on which a geodesic is as straight as it can be", x: [-3.4, 3.4], y: [-2.2, 3.9], ticks: false, tall: 310, ylabel: "drag: turn and tilt" });
  plane.handle({ name: "start", get: s => s.start, set: (p, s) => {
    const start = lcn.norm(p) < 0.05 ? [0.05, 0] : p; // the arrow comes along
    return { start, tip: lcn.plus(s.tip, lcn.plus(start, s.start, -1)).map(x => +x.toFixed(3)) };
  } });
  plane.handle({ key: "tip", name: "tip of the arrow", shape: "small", role: "target" });
  space.turns({ key: "view", rest: [-2.7, -1.5], first: FROM });
  stage.slider({ key: "delta", label: "δ", min: -3, max: 3, step: 0.1, text: d => number(d, 1), from: d => +d.toFixed(1) });
  stage.check({ key: "fan", label: "a fan of them" });
  return state => {
    const { start, tip, delta } = state, mine = look(delta), a = velocity(state);
    const way = own(state, stage), w = above(start, delta), K = lcn.ntk(net, w);
    const fan = state.fan ? stage.memo("fan", [start, tip, delta], () => {
      const size = Math.sqrt(lcn.inner(net, w, a, a));
      return lcn.ellipse(K, [0, 0], size, 25).slice(1).map(b => shoot(start, b, delta));
    }) : [];
    const see = camera(...state.view), point = x => see([...x[0], x[1][0]]);
    plane.frame(() => {
      plane.dot("zero", [0, 0], { fill: "paper", r: 6 });
      plane.text("zeroname", [0, 0], "zero", { dx: 9, dy: 14 });
      fan.forEach((f, i) => plane.line(`fan${i}`, f.v, { role: "metric", width: 1.2 }));
      plane.line("way", way.v, { role: mine.role, width: 4 });
      plane.line("straight", [start, lcn.plus(start, a, LONG)], { width: 1, dash: "2 4" });
      plane.line("ruler", lcn.ellipse(K, start, 0.2), { width: 1.5 });
      plane.arrow("arrow", start, tip, { role: "target", width: 3 });
    });
    space.frame(() => {
      space.line("surface", stage.memo("surface", [delta, state.view], () => surface(delta, see)), { role: "metric", width: 0.7 });
      weightAxes(space, see);
      fan.forEach((f, i) => space.line(`fan${i}`, f.filters.map(point), { role: "metric", width: 1.2 }));
      space.line("way", way.filters.map(point), { role: mine.role, width: 4 });
      space.dot("start", point(w), { r: 5, fill: "currentColor" });
    });
  };
}

function words(state, stage) {
  const { start, delta } = state, a = velocity(state), way = own(state, stage);
  const speed = Math.sqrt(lcn.inner(net, above(start, delta), a, a));
  const name = delta < 0 ? "funnel" : delta > 0 ? "bowl" : "cone";
  const end = way.ends === null ? `at s = 1 it is at ${vector(way.v[N / 3], 3)}`
    : way.ends > 1 ? `at s = 1 it is at ${vector(way.v[N / 3], 3)}, and before s = ${number(way.ends)} it runs into zero`
    : `it runs into zero before s = ${number(way.ends)}`;
  return `δ = ${number(delta, 1)}, a ${name}. From ${vector(start)} with velocity ${vector(a)}, which has length ` +
    `${number(speed, 3)} in the metric: ${end}.`;
}

export const geodesics = { title: "Shoot a geodesic", build, words,
  defaults: { start: [1.4, -0.6], tip: [0.9, 0.1], delta: 0, fan: false, view: FROM } };
