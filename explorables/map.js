// Choose an architecture: how many kernels belong to a function, and whether there is a metric.
import * as lcn from "./lcn.js";

const chosen = state => {
  const n = state.layers;
  return [state.shapes.slice(0, n), state.strides.slice(0, n).map(s => [s, s])];
};
const names = group => group.map(i => i + 1).join(" and ");

export function facts(state) {
  const [shapes, strides] = chosen(state), size = shapes.map(([a, b]) => a * b);
  const S = [1];
  for (let i = 0; i + 1 < shapes.length; i++) S.push(S[i] * state.strides[i]);
  const product = [0, 1].map(a => 1 + shapes.reduce((n, k, i) => n + (k[a] - 1) * S[i], 0));
  return { shapes, product, roots: lcn.root_groups(shapes, strides),
    wide: lcn.interchangeable(shapes, strides).filter(g => Math.min(...shapes[g[0]]) > 1),
    dimension: size.reduce((a, b) => a + b) - shapes.length + 1, space: product[0] * product[1],
    factorizations: lcn.generic_kernel_count(shapes, strides),
    kernels: lcn.generic_kernel_count(shapes, strides, state.balanced) };
}

function build(stage) {
  const panel = stage.panel({ label: "The layers and their product as tables of cells", x: [0, 30], y: [0, 9], ticks: false, tall: 260 });
  const sizes = [1, 2, 3, 4].map(n => [n, `${n}`]);
  stage.choice({ key: "layers", label: "layers", options: [[2, "2"], [3, "3"]] });
  // In one dimension every filter is a column.
  stage.choice({ label: "D", options: [[1, "1"], [2, "2"]], get: s => s.shapes.some(k => k[1] > 1) ? 2 : 1,
    set: (n, s) => ({ shapes: s.shapes.map(([a]) => [a, n > 1 ? a : 1]) }) });
  stage.check({ key: "balanced", label: "balanced (δ = 0)" });
  [0, 1, 2].forEach(i => {
    stage.newRow();
    ["rows", "columns"].forEach((what, a) => stage.choice({ label: `layer ${i + 1}: ${what}`, options: sizes,
      shown: s => i < s.layers, get: s => s.shapes[i][a],
      set: (n, s) => ({ shapes: s.shapes.map((k, j) => i === j ? k.map((m, b) => a === b ? n : m) : k) }) }));
    if (i < 2) stage.choice({ label: "stride", options: [1, 2, 3].map(n => [n, `${n}`]), shown: s => i + 1 < s.layers, get: s => s.strides[i],
      set: (n, s) => ({ strides: s.strides.map((m, j) => i === j ? n : m) }) });
  });
  return state => {
    const { shapes, product, roots, wide } = facts(state);
    panel.frame(() => {
      let x = 0.5;
      const middles = [];
      const table = (name, [rows, columns], style, cell) => {
        const d = [];
        for (let r = 0; r <= rows; r++) d.push([x, 5 - cell * (r - rows / 2)], [x + cell * columns, 5 - cell * (r - rows / 2)], [NaN, 0]);
        for (let c = 0; c <= columns; c++) d.push([x + cell * c, 5 + cell * rows / 2], [x + cell * c, 5 - cell * rows / 2], [NaN, 0]);
        panel.line(name, d, style);
        middles.push([x + cell * columns / 2, 5 + cell * rows / 2, 5 - cell * rows / 2]);
        x += cell * columns + 0.6;
      };
      shapes.forEach((k, i) => {
        table(`layer${i}`, k, { role: ["layer 1", "layer 2", null][i], width: 2.5 }, 1);
        if (i < shapes.length - 1) {
          panel.text(`sign${i}`, [x, 5], ["∗", "∗ x²", "∗ x³"][state.strides[i] - 1], { dy: 5 });
          x += state.strides[i] > 1 ? Math.max(2.6, 34 / panel.unit) : Math.max(1.4, 16 / panel.unit);
        }
      });
      panel.text("equals", [x, 5], "=", { dy: 5 });
      x += Math.max(1.2, 16 / panel.unit);
      const cell = Math.min(1, 8 / product[0], (29.5 - x) / product[1]);
      table("product", product, { width: 1.5 }, cell);
      const arc = (name, group, words, role) => {
        const [a, b] = [middles[group[0]], middles[group[group.length - 1]]], top = Math.max(a[1], b[1]) + 0.8;
        panel.line(name, [[a[0], a[1] + 0.2], [a[0], top], [b[0], top], [b[0], b[1] + 0.2]], { role, width: 2 });
        panel.text(`${name}words`, [(a[0] + b[0]) / 2, top], words, { anchor: "middle", dy: -6 });
      };
      roots.forEach((g, i) => arc(`roots${i}`, g, "share roots", "target"));
      wide.forEach((g, i) => arc(`wide${i}`, g, "can change places", "δ = 0"));
    });
  };
}

const plural = (n, word) => `${n} ${word}${n > 1 ? "s" : ""}`;

function words(state) {
  const f = facts(state);
  const thin = f.dimension < f.space ? `a thin set of dimension ${f.dimension} in a space of dimension ${f.space}`
    : `of full dimension ${f.space}`;
  const why = f.roots.length ? `Layers ${f.roots.map(names).join(", ")} share the roots of one polynomial (“How many kernels”, in Stride one: the bounce)`
    : f.wide.length ? `Layers ${f.wide.map(names).join(", ")} could change places (“Groups of layers”, in Two dimensions)`
    : `No two layers can exchange anything (${f.shapes.some(k => k[1] > 1) ? "“Groups of layers”, in Two dimensions" : "“One kernel per function”, in One function, one kernel"})`;
  const metric = f.kernels === 1
    ? f.roots.length ? "a metric where all roots are real and different; the flow may still run into the border, where K drops rank"
      : "one metric for each δ, and training follows its steepest descent (“Training is a Riemannian gradient flow”)"
    : f.roots.length ? "no metric on function space: a flow can change its kernel (“No metric”)"
      : "a metric on each sheet: which one, the start decides (“On the sheets”)";
  return `Functions: ${thin}. A generic one has ${plural(f.factorizations, "factorisation")} and ` +
    `${plural(f.kernels, "kernel")} for ${state.balanced ? "δ = 0" : "a generic δ"}. ${why}. So there is ${metric}.`;
}

export const map = { title: "The map: is there a metric?", build, words,
  defaults: { layers: 2, shapes: [[3, 1], [2, 1], [2, 1]], strides: [2, 2, 1], balanced: false } };
