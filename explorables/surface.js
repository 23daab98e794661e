// The surface |w2|² - |w1|² = δ of k = (2, 1) in the space of its three weights: bowl, cone or funnel.
import * as lcn from "./lcn.js";
import { camera } from "./stage.js";

export const FROM = [218, 30];
export const view = camera(...FROM);

// The filters of v on the half of the surface where the weight of layer 2 is positive.
const net = lcn.LCN([2, 1]);
export function above(v, delta) {
  const w = lcn.lift(net, v, [delta]);
  return w[1][0] < 0 ? w.map(x => lcn.times(-1, x)) : w;
}

// A piece of the surface w2² - |w1|² = δ: rays and rings; below w2 = 0 too when the surface goes on.
export function surface(delta, see = view) {
  const lines = [], low = Math.sqrt(Math.max(-delta, 0)), turn = 2 * Math.PI;
  const top = Math.sqrt(2.8 ** 2 - Math.max(delta, 0)); // a bowl as high as the cone
  const height = r => Math.sqrt(Math.max(r * r + delta, 0));
  const at = (r, a, sign = 1) => see([r * Math.cos(a), r * Math.sin(a), sign * height(r)]);
  for (let i = 0; i < 16; i++) {
    const ray = Array.from({ length: 13 }, (_, j) => at(low + (top - low) * (j / 12) ** 2, turn * i / 16));
    lines.push(...ray, [NaN, 0]);
  }
  for (let j = 0; j < 5; j++) {
    const r = low + (top - low) * (j / 4) ** 2;
    for (let i = 0; i <= 40; i++) lines.push(at(r, turn * i / 40));
    lines.push([NaN, 0]);
  }
  if (low > 0) {
    for (let i = 0; i < 16; i++) {
      for (let j = 0; j < 7; j++) lines.push(at(low + 0.25 * (j / 6) ** 2, turn * i / 16, -1));
      lines.push([NaN, 0]);
    }
  }
  return lines;
}

export function weightAxes(panel, see = view) {
  [[3, 0, 0], [0, 3, 0], [0, 0, 3.2]].forEach((end, i) => {
    panel.line(`axis${i}`, [see([0, 0, 0]), see(end)], { width: 1 });
    const tip = see(lcn.times(1.08, end));
    panel.text(`axisname${i}`, tip, ["w₁, first", "w₁, second", "w₂"][i],
      { anchor: tip[0] < -0.5 ? "start" : tip[0] > 0.5 ? "end" : "middle", dy: i === 2 ? 0 : tip[1] < see([0, 0, 0])[1] ? 16 : -8 });
  });
}
