// k = (3, 2), stride two: even and odd entries of v give the layers back; off M, the nearest point.
import * as lcn from "./lcn.js";
import { number, vector } from "./stage.js";

const net = lcn.LCN([3, 2], [2, 1]);

const nearest = ({ v }, stage) => stage.memo("nearest", v, () => lcn.project(net, v.some(x => x) ? v : [1e-3, 0, 0, 0, 0]));

function answer(state, stage) {
  const at = nearest(state, stage), exact = at.distance < 1e-6 * (1 + lcn.norm(state.v));
  const first = at.filters[0].find(x => Math.abs(x) > 1e-8) < 0 ? -1 : 1;
  const filters = lcn.rescale(net, at.filters.map(w => lcn.times(first, w)), [state.delta]);
  return { ...at, exact, filters };
}

function build(stage) {
  const bars = stage.panel({ label: "The entries of v", x: [-0.6, 4.6], y: [-3.6, 5.2], equal: false, ratio: 0.72, tall: 280, xlabel: "v, entries 0 to 4", bare: true, names: ["nearest point of M"] });
  const layers = stage.panel({ label: "The entries of the two layers", x: [-0.6, 5.1], y: [-3.8, 3.8], equal: false, ratio: 0.72, tall: 280, xlabel: "w₁ and w₂ at this δ", bare: true });
  for (let i = 0; i < 5; i++) bars.handle({ name: `entry ${i} of v`, only: "y", role: i % 2 ? "layer 2" : "layer 1",
    get: s => [i, s.v[i]], set: (p, s) => ({ v: s.v.map((x, j) => i === j ? p[1] : x) }), say: p => number(p[1]) });
  stage.slider({ key: "delta", label: "δ", min: -6, max: 6, step: 0.1, text: x => number(x, 1), from: x => +x.toFixed(1) });
  stage.button("Put v onto M", s => ({ v: nearest(s, stage).end_to_end.map(x => +x.toFixed(12)) }));
  return state => {
    const { end_to_end: v, filters: [p, q], exact } = answer(state, stage);
    bars.frame(() => {
      bars.line("zero", [[-0.6, 0], [4.6, 0]], { width: 1 });
      bars.bars("v", state.v);
      // Each comb holds the second layer: once for the middle of layer 1, mixed for its two ends.
      for (const [name, from, role] of [["even", 0, "layer 1"], ["odd", 1, "layer 2"]]) {
        const teeth = [];
        for (let i = from; i < 5; i += 2) teeth.push([i, 4.1 + from * 0.8], [i, 3.8 + from * 0.8], [i, 4.1 + from * 0.8]);
        bars.line(name, teeth, { role, width: 3 });
        bars.text(`name${name}`, [from ? 3 : 4, 4.1 + from * 0.8], name, { dx: 6, dy: 5 });
      }
      if (!exact) v.forEach((x, i) => bars.line(`near${i}`, [[i - 0.25, x], [i + 0.25, x]], { role: "target", width: 4 }));
      if (!exact) bars.legend([{ role: "target", width: 4 }]);
    });
    layers.frame(() => {
      layers.line("zero", [[-0.6, 0], [5.1, 0]], { width: 1 });
      layers.bars("w1", p, { role: "layer 1" });
      layers.line("w2", q.flatMap((h, i) => [[3.5 + i, 0], [3.5 + i, h], [NaN, 0]]), { role: "layer 2", width: 8 });
      p.forEach((h, i) => layers.text(`p${i}`, [i, h], number(h), { anchor: "middle", dy: h < 0 ? 20 : -10 }));
      q.forEach((h, i) => layers.text(`q${i}`, [3.5 + i, h], number(h), { anchor: "middle", dy: h < 0 ? 20 : -10 }));
    });
  };
}

function words(state, stage) {
  const { filters, distance, exact, end_to_end } = answer(state, stage);
  const where = exact ? `v = ${vector(state.v)} is expressible.`
    : `v = ${vector(state.v)} is not expressible: the nearest point of M that was found is ${vector(end_to_end)}, at distance ${number(distance, 3)}.`;
  return `${where} For δ = ${number(state.delta, 1)} the layers are ${vector(filters[0], 3)} and ${vector(filters[1], 3)}, up to one common sign.`;
}

export const comb = { title: "The comb: v gives its layers back", build, words,
  defaults: { v: [2, 1, 1, 1, -1], delta: -4 } };
