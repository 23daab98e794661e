// Sizes (2, 2), stride two: all critical points of a loss whose target is dragged, and which valley
// takes which start, for three δ.
import * as lcn from "./lcn.js";
import { look, number, vector } from "./stage.js";

const net = lcn.LCN([2, 2], 2), WAYS = [-3, 0, 3], HALF = 180 / Math.PI;
export const WEIGHT = [[0.5, 0.3, 0.4, -0.4], [0.3, 1, -0.1, -0.1], [0.4, -0.1, 0.6, -0.5], [-0.4, -0.1, -0.5, 0.5]];
const goal = ([x, y]) => [x, 0, 1, y];
const problem = target => lcn.QuadraticLoss(goal(target), WEIGHT);

const scene = (target, stage) => stage.memo("scene", target, () => {
  const loss = problem(target), points = lcn.critical_points(net, loss);
  return { loss, points, real: points.filter(p => p.real), places: lcn.valleys(points), zero: loss.value([0, 0, 0, 0]) };
});

// Filters with these directions, in degrees, product of this size and this δ; v points downhill.
function begin(loss, [a, b], size, delta) {
  const u = [Math.cos(a / HALF), Math.sin(a / HALF)], w = [Math.cos(b / HALF), Math.sin(b / HALF)];
  const up = lcn.dot(loss.gradient([0, 0, 0, 0]), lcn.end_to_end(net, [u, w])) > 0 ? -1 : 1;
  const first = Math.sqrt((Math.hypot(delta, 2 * size) - delta) / 2);
  return [lcn.times(up * first, u), lcn.times(size / first, w)];
}

// Which valley takes the start in each cell of a grid, rows from the top; first coarse, then finer
// where neighbours differ.
function* colours({ loss, places }, size) {
  let old = null, n = 12;
  for (; n <= 48; n *= 2) {
    const tables = [];
    for (const [k, delta] of WAYS.entries()) {
      const table = new Uint8Array(n * n), m = n / 2;
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const y = i >> 1, x = j >> 1;
          let same = Boolean(old);
          for (let p = -1; same && p < 2; p++) for (let q = -1; q < 2; q++)
            same &&= old[k][(y + p + m) % m * m + (x + q + m) % m] === old[k][y * m + x];
          table[i * n + j] = same ? old[k][y * m + x]
            : lcn.fall(loss, begin(loss, [180 * (j + 0.5) / n, 180 * (1 - (i + 0.5) / n)], size, delta), places);
        }
        yield;
      }
      tables.push(table);
    }
    old = tables;
    yield { tables, n };
  }
}

// How many real critical points the target in each cell has.
function* counts() {
  const n = 60, table = new Uint8Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++)
      table[i * n + j] = lcn.critical_points(net, problem([6 * (j + 0.5) / n - 3, 3 - 6 * (i + 0.5) / n])).filter(p => p.real).length;
    yield;
  }
  yield { table, n };
}

const degrees = p => p.filters.map(w => HALF * lcn.direction(w.map(x => x[0])));

function build(stage) {
  const targets = stage.panel({ label: "The plane of targets, shaded by the number of real critical points", x: [-3, 3], y: [-3, 3], xlabel: "target, entry 0", ylabel: "entry 3", tall: 300 });
  const curve = stage.panel({ label: "The least loss for each direction of the second filter", x: [0, 180], y: [0, 1.2], equal: false, ratio: 0.75, xlabel: "direction of w₂ in degrees", ylabel: "loss / loss of zero", tall: 300 });
  stage.newLine();
  const tori = WAYS.map(d => stage.panel({ label: `Directions of both filters, shaded by the valley that takes them, δ = ${number(d, 0)}`,
    x: [0, 180], y: [0, 180], xlabel: "w₁ in degrees", ylabel: "w₂", tall: 260, basis: 160, names: [`δ = ${number(d, 0)}`] }));
  targets.handle({ key: "target", name: "target", shape: "star", role: "target" });
  tori.forEach((panel, k) => panel.handle({ key: "start", name: `directions of the start, δ = ${number(WAYS[k], 0)}`, say: p => `${p.map(x => number(x, 0)).join(" and ")} degrees` }));
  stage.slider({ key: "size", label: "size of the start", min: 0.2, max: 3, step: 0.1, text: x => number(x, 1), from: x => +x.toFixed(1) });
  return state => {
    const at = scene(state.target, stage), map = stage.work("counts", 0, counts);
    const basins = stage.work("basins", [state.target, state.size], () => colours(scene(state.target, stage), state.size));
    const runs = ends(state, stage), minima = at.real.filter(p => p.index === 0);
    targets.frame(() => {
      if (map) targets.raster(map.table, map.n, map.n, x => [0, 0, 0, 0, 0.15, 0, 0.45][x]);
      [["2", [0, -2.5]], ["4", [-1.5, 1.5]], ["6", [2.3, 1.9]]].forEach(([text, p]) => targets.text(`n${text}`, p, text, { anchor: "middle", dy: 5 }));
    });
    const mark = (panel, p, place, i) => {
      panel.dot(`point${i}`, place, { r: 6, fill: p.index ? "paper" : "currentColor", width: 2 });
      if (!p.index) panel.text(`name${i}`, place, `${minima.indexOf(p) + 1}`, { dx: 9, dy: -7 });
    };
    curve.frame(() => {
      curve.line("least", stage.memo("least", state.target, () => least(at)), { width: 3 });
      runs.forEach(({ path }, k) => curve.line(`fall${k}`, unrolled(path.map(([, b, loss]) => [HALF * b, loss / at.zero]), 0), { ...look(WAYS[k]), width: 2 }));
      at.real.forEach((p, i) => mark(curve, p, [degrees(p)[1], p.loss[0] / at.zero], i));
    });
    tori.forEach((panel, k) => panel.frame(() => {
      if (basins) panel.raster(basins.tables[k], basins.n, basins.n, x => [0.04, 0.22, 0.45][x]);
      panel.line("way", unrolled(unrolled(runs[k].path.map(([a, b]) => [HALF * a, HALF * b]), 0), 1), { ...look(WAYS[k]), width: 3 });
      at.real.forEach((p, i) => mark(panel, p, degrees(p), i));
      panel.legend([{ ...look(WAYS[k]), width: 3 }]);
    }));
  };
}

const ends = (state, stage) => stage.memo("ends", [state.target, state.start, state.size], () => WAYS.map(delta => {
  const { loss, places } = scene(state.target, stage), path = [];
  return { valley: lcn.fall(loss, begin(loss, state.start, state.size, delta), places, path), path };
}));

// For each direction of the second filter the products with two first ones, and their table by WEIGHT.
const SECONDS = Array.from({ length: 91 }, (_, i) => {
  const w = [Math.cos(2 * i / HALF), Math.sin(2 * i / HALF)], T = [[1, 0], [0, 1]].map(u => lcn.end_to_end(net, [u, w]));
  return [T, ...T.flatMap(p => T.map(q => lcn.dot(p, WEIGHT.map(row => lcn.dot(row, q)))))];
});

// The least loss over all first filters, for each direction of the second.
function least({ loss, zero }) {
  const g = lcn.times(-1, loss.gradient([0, 0, 0, 0]));
  return SECONDS.map(([[p, q], a, b, , d], i) => {
    const x = lcn.dot(p, g), y = lcn.dot(q, g);
    return [2 * i, 1 - (d * x * x - 2 * b * x * y + a * y * y) / (a * d - b * b) / 2 / zero];
  });
}

// A line on the torus leaves the square and comes back on the other side.
const unrolled = (points, axis) => points.flatMap((p, i) =>
  i && Math.abs(p[axis] - points[i - 1][axis]) > 90 ? [[NaN, 0], p] : [p]);

function words(state, stage) {
  const { real } = scene(state.target, stage), list = index => real.filter(p => p.index === index).map(p => number(p.loss[0], 3)).join(", ");
  const found = ends(state, stage).map(r => r.valley + 1);
  const where = found.every(x => x === found[0]) ? `in valley ${found[0]} for all three δ`
    : found.map((x, k) => `in valley ${x} for δ = ${number(WAYS[k], 0)}`).join(", ");
  return `Target ${vector(goal(state.target))}: ${real.length} real critical points of 6, minima with loss ${list(0)} and saddles with ` +
    `loss ${list(1)}. The flow that starts with the directions ${state.start.map(x => `${number(x, 0)}°`).join(" and ")} ends ${where}.`;
}

export const basins = { title: "Critical points and their basins", build, words,
  defaults: { target: [1, 1], start: [105, 120], size: 1 } };
