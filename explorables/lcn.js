// Mathematics of small linear convolutional networks in one dimension, under the names of lcnlib.
// A filter is an array of numbers, entry j the coefficient of x^j; filters are in layer order.

export function LCN(filter_shapes, strides = 1) {
  const H = filter_shapes.length;
  strides = Array.isArray(strides) ? strides : Array(H).fill(strides);
  const cumulative_strides = [1];
  for (let i = 0; i + 1 < H; i++) cumulative_strides.push(cumulative_strides[i] * strides[i]);
  const k = 1 + filter_shapes.reduce((n, size, i) => n + (size - 1) * cumulative_strides[i], 0);
  return { filter_shapes, strides, cumulative_strides, depth: H, end_to_end_shape: k,
    n_parameters: filter_shapes.reduce((a, b) => a + b) };
}

// ---- vectors and small matrices

export const dot = (a, b) => { let s = 0; for (let i = 0; i < a.length; i++) s += a[i] * b[i]; return s; };
export const norm = a => Math.hypot(...a);
export const plus = (a, b, c = 1) => a.map((x, i) => x + c * b[i]);
export const times = (c, a) => a.map(x => c * x);

// Eigenvalues, increasing, and eigenvectors (as rows) of a symmetric matrix, by Jacobi's rotations.
export function eigh(matrix) {
  const n = matrix.length, a = matrix.map(row => row.slice());
  const q = a.map((_, i) => a.map((_, j) => +(i === j)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0, size = 0;
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
      size += a[i][j] ** 2;
      if (i !== j) off += a[i][j] ** 2;
    }
    if (off <= 1e-32 * size) break;
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) {
      if (a[i][j] === 0) continue;
      const theta = (a[j][j] - a[i][i]) / (2 * a[i][j]);
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
      const c = 1 / Math.hypot(t, 1), s = t * c;
      for (let m = 0; m < n; m++) {
        const x = a[m][i], y = a[m][j];
        a[m][i] = c * x - s * y;
        a[m][j] = s * x + c * y;
      }
      for (let m = 0; m < n; m++) {
        const x = a[i][m], y = a[j][m], u = q[i][m], w = q[j][m];
        a[i][m] = c * x - s * y;
        a[j][m] = s * x + c * y;
        q[i][m] = c * u - s * w;
        q[j][m] = s * u + c * w;
      }
    }
  }
  const order = a.map((_, i) => i).sort((i, j) => a[i][i] - a[j][j]);
  return { values: order.map(i => a[i][i]), vectors: order.map(i => q[i]) };
}

// Solve a x = b by elimination with pivots.
export function solve(a, b) {
  const n = b.length, m = a.map((row, i) => [...row, b[i]]);
  for (let i = 0; i < n; i++) {
    let p = i;
    for (let r = i + 1; r < n; r++) if (Math.abs(m[r][i]) > Math.abs(m[p][i])) p = r;
    [m[i], m[p]] = [m[p], m[i]];
    for (let r = i + 1; r < n; r++) {
      const f = m[r][i] / m[i][i];
      for (let c = i; c <= n; c++) m[r][c] -= f * m[i][c];
    }
  }
  const x = Array(n);
  for (let i = n - 1; i >= 0; i--) {
    x[i] = m[i][n];
    for (let c = i + 1; c < n; c++) x[i] -= m[i][c] * x[c];
    x[i] /= m[i][i];
  }
  return x;
}

// ---- polynomials and products

// The coefficients of p(x) q(x^stride).
export function multiply(p, q, stride = 1) {
  const out = Array(p.length + (q.length - 1) * stride).fill(0);
  for (let j = 0; j < q.length; j++)
    for (let i = 0; i < p.length; i++) out[i + j * stride] += p[i] * q[j];
  return out;
}

export function end_to_end(net, filters) {
  let v = filters[0];
  for (let i = 1; i < net.depth; i++) v = multiply(v, filters[i], net.cumulative_strides[i]);
  return v;
}

export function cofactors(net, filters) {
  return filters.map((_, i) => {
    let c = [1];
    filters.forEach((w, j) => { if (j !== i) c = multiply(c, w, net.cumulative_strides[j]); });
    return c;
  });
}

// The network's output on a signal: cross-correlation with the end-to-end filter, layer by layer.
export function apply(net, filters, x) {
  filters.forEach((w, i) => {
    const n = Math.floor((x.length - w.length) / net.strides[i]) + 1;
    const from = x;
    x = Array.from({ length: n }, (_, m) => w.reduce((s, c, j) => s + c * from[m * net.strides[i] + j], 0));
  });
  return x;
}

export function jacobian(net, filters) {
  const rows = Array.from({ length: net.end_to_end_shape }, () => Array(net.n_parameters).fill(0));
  let column = 0;
  cofactors(net, filters).forEach((c, i) => {
    for (let j = 0; j < net.filter_shapes[i]; j++, column++)
      c.forEach((x, m) => { rows[m + j * net.cumulative_strides[i]][column] += x; });
  });
  return rows;
}

export const jvp = (net, filters, directions) =>
  jacobian(net, filters).map(row => dot(row, directions.flat()));

export function vjp(net, filters, covector) {
  return cofactors(net, filters).map((c, i) =>
    filters[i].map((_, j) => {
      let s = 0;
      for (let m = 0; m < c.length; m++) s += c[m] * covector[m + j * net.cumulative_strides[i]];
      return s;
    }));
}

export function ntk(net, filters) {
  const J = jacobian(net, filters);
  return J.map(a => J.map(b => dot(a, b)));
}

// All complex roots [re, im] of sum_j p[j] x^j, by the simultaneous iteration of Aberth.
export function roots(p) {
  let n = p.length - 1;
  while (n > 0 && p[n] === 0) n--;
  const bound = 1 + Math.max(0, ...p.slice(0, n).map(c => Math.abs(c / p[n])));
  let z = Array.from({ length: n }, (_, i) => {
    const angle = 2 * Math.PI * (i + 0.35) / n;
    return [0.6 * bound * Math.cos(angle), 0.6 * bound * Math.sin(angle)];
  });
  for (let step = 0; step < 200; step++) {
    let moved = 0;
    z.forEach(([x, y], i) => {
      let a = 0, b = 0, da = 0, db = 0; // value and derivative by Horner
      for (let j = n; j >= 0; j--) {
        [da, db] = [da * x - db * y + a, da * y + db * x + b];
        [a, b] = [a * x - b * y + p[j], a * y + b * x];
      }
      const size = da * da + db * db;
      if (size === 0) return;
      let u = (a * da + b * db) / size, v = (b * da - a * db) / size; // Newton's step
      let s = 0, t = 0; // the other roots repel
      z.forEach(([c, d], j) => {
        const r = (x - c) ** 2 + (y - d) ** 2;
        if (j !== i && r > 0) { s += (x - c) / r; t -= (y - d) / r; }
      });
      const e = 1 - (u * s - v * t), f = -(u * t + v * s), q = e * e + f * f;
      if (q > 0) [u, v] = [(u * e + v * f) / q, (v * e - u * f) / q];
      z[i] = [x - u, y - v];
      moved = Math.max(moved, Math.hypot(u, v) / (1e-300 + Math.hypot(x, y)));
    });
    if (moved < 1e-15) break;
  }
  z = z.map(([x, y]) => [x, Math.abs(y) < 1e-9 * Math.hypot(x, y) ? 0 : y]);
  return z.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

// The real polynomial of norm one with these roots, [re, im]; complex ones come in pairs.
export function from_roots(list) {
  let p = [[1, 0]];
  for (const [x, y] of list) {
    const q = Array.from({ length: p.length + 1 }, () => [0, 0]);
    p.forEach(([a, b], j) => {
      q[j + 1][0] += a;
      q[j + 1][1] += b;
      q[j][0] -= a * x - b * y;
      q[j][1] -= a * y + b * x;
    });
    p = q;
  }
  return p.map(c => c[0]);
}

// ---- invariants and scaling

export const invariants = (net, filters) =>
  filters.slice(1).map((w, i) => dot(w, w) - dot(filters[i], filters[i]));

// Proposition 2: the positive scalars with product one that give the filters these invariants.
export function scaling_factors(net, filters, delta) {
  const norms = filters.map(norm), sigma = [0];
  delta.forEach(d => sigma.push(sigma[sigma.length - 1] + d));
  const low = Math.min(...sigma), d = sigma.map(s => s - low);
  const goal = 2 * norms.reduce((s, r) => s + Math.log(r), 0);
  // f(z) = sum log(e^z + d_i) - goal increases and is convex: Newton from the right falls onto it.
  let z = goal / norms.length;
  for (let step = 0; step < 100; step++) {
    const e = Math.exp(z);
    const f = d.reduce((s, x) => s + Math.log(e + x), -goal);
    const change = f / d.reduce((s, x) => s + e / (e + x), 0);
    z -= change;
    if (Math.abs(change) <= 1e-15 * Math.max(1, Math.abs(z))) break;
  }
  return norms.map((r, i) => Math.sqrt(Math.exp(z) + d[i]) / r);
}

export function rescale(net, filters, delta) {
  const c = scaling_factors(net, filters, delta);
  return filters.map((w, i) => times(c[i], w));
}

export function scalings(net, filters, delta) {
  const c = scaling_factors(net, filters, delta), H = net.depth;
  return Array.from({ length: 2 ** (H - 1) }, (_, code) => {
    const signs = Array.from({ length: H - 1 }, (_, i) => 1 - 2 * ((code >> i) & 1));
    signs.push(signs.reduce((a, b) => a * b, 1));
    return c.map((x, i) => signs[i] * x);
  });
}

// ---- from a function back to the filters

// Both filters of two layers from their product, each up to a scalar; null when v has none.
// Sizes (k, 1); (2, 2) with any stride; (3, 2) with stride two.
export function factorizations(net, v) {
  const [k1, k2] = net.filter_shapes, s = net.strides[0];
  if (k2 === 1) return [[v, [1]]];
  if (k1 <= s) { // a table of rank one
    const rows = Array.from({ length: k1 }, (_, a) => Array.from({ length: k2 }, (_, b) => v[a + s * b]));
    const best = rows.reduce((x, y) => norm(y) > norm(x) ? y : x);
    return [[rows.map(row => dot(row, best) / dot(best, best)), best]];
  }
  if (k1 === 2 && k2 === 2 && s === 1) { // a quadratic: who gets which root
    const [c, b, a] = v, disc = b * b - 4 * a * c;
    if (disc < 0) return [];
    const q = (b + (b < 0 ? -1 : 1) * Math.sqrt(disc)) / 2; // the product is (q + a x)(c/q + x)
    const first = [q, a], second = q !== 0 ? [c / q, 1] : [0, 1];
    return q === 0 && a === 0 ? [[[1, 0], [c, 0]]] : [[first, second], [second, first]];
  }
  if (k1 === 3 && k2 === 2 && s === 2) { // the comb: odd entries are w1[1] times w2
    const odd = [v[1], v[3]], even = [v[0], v[2], v[4]], size = dot(odd, odd);
    if (size === 0) return factorizations(LCN([2, 2]), even).map(([p, q]) => [[p[0], 0, p[1]], q]);
    const [b0, b1] = odd; // the even ones are (w1[0] + w1[2] y) w2(y): least squares
    const g = b0 * b0 + b1 * b1, h = b0 * b1;
    const [x, y] = solve([[g, h], [h, g]], [even[0] * b0 + even[1] * b1, even[1] * b0 + even[2] * b1]);
    return [[[x, 1, y], odd]];
  }
  throw new Error(`factorizations: sizes ${net.filter_shapes} with stride ${s} are not served`);
}

// The first entry of the first filter that is not negligible is positive.
export function lift(net, v, delta, guess = null) {
  let found = factorizations(net, v);
  if (!found.length) return null;
  found = found.map(([p, q]) => {
    const first = p.find(x => Math.abs(x) > 1e-8 * Math.max(...p.map(Math.abs)));
    const product = end_to_end(net, [p, q]), c = dot(product, v) / dot(product, product);
    return rescale(net, first < 0 ? [times(-1, p), times(-c, q)] : [p, times(c, q)], delta);
  });
  if (!guess) return found[0];
  const unit = w => times(1 / norm(w), w), near = guess.map(unit);
  const both = found.flatMap(w => [w, w.map(x => times(-1, x))]);
  const far = w => w.reduce((s, x, i) => s + norm(plus(unit(x), near[i], -1)) ** 2, 0);
  return both.reduce((a, b) => far(b) < far(a) ? b : a);
}

// The nearest point of M: alternating least squares from the factorisation of v.
export function project(net, v, start = null) {
  let filters = start || factorizations(net, v)[0];
  let last = Infinity;
  for (let step = 0; step < 500; step++) {
    for (let i = 0; i < net.depth; i++) {
      const unit = filters.map((w, j) => j === i ? w : times(1 / norm(w), w));
      const c = cofactors(net, unit)[i], S = net.cumulative_strides[i], n = filters[i].length;
      const T = Array.from({ length: n }, (_, j) => {
        const column = Array(v.length).fill(0);
        c.forEach((x, m) => { column[m + j * S] += x; });
        return column;
      });
      unit[i] = solve(T.map(a => T.map(b => dot(a, b))), T.map(a => dot(a, v)));
      filters = unit;
    }
    const distance = norm(plus(end_to_end(net, filters), v, -1));
    if (last - distance < 1e-15 * norm(v)) break;
    last = distance;
  }
  const product = end_to_end(net, filters);
  return { end_to_end: product, filters, distance: norm(plus(product, v, -1)) };
}

// ---- losses and flows

export function QuadraticLoss(target, weight = null) {
  const gradient = v => {
    const e = plus(v, target, -1);
    return weight ? weight.map(row => dot(row, e)) : e;
  };
  return { target, weight, gradient, value: v => 0.5 * dot(plus(v, target, -1), gradient(v)) };
}

const packed = filters => filters.flat();
function unpacked(net, y) {
  let at = 0;
  return net.filter_shapes.map(k => y.slice(at, at += k));
}

// The velocity of packed filters; two layers, which are drawn at every frame, without detours.
function velocity(net, loss) {
  if (net.depth !== 2) return y => {
    const w = unpacked(net, y);
    return times(-1, packed(vjp(net, w, loss.gradient(end_to_end(net, w)))));
  };
  const [k1, k2] = net.filter_shapes, s = net.cumulative_strides[1];
  return y => {
    const v = Array(net.end_to_end_shape).fill(0), out = Array(k1 + k2).fill(0);
    for (let j = 0; j < k2; j++) for (let i = 0; i < k1; i++) v[i + j * s] += y[i] * y[k1 + j];
    const g = loss.gradient(v);
    for (let j = 0; j < k2; j++) for (let i = 0; i < k1; i++) {
      out[i] -= y[k1 + j] * g[i + j * s];
      out[k1 + j] -= y[i] * g[i + j * s];
    }
    return out;
  };
}

// Reported at the increasing times t, which start with t[0]; `smooth` as in `integrate`.
export function gradient_flow(net, loss, filters, t, rtol = 1e-7, smooth = false) {
  const path = integrate(velocity(net, loss), packed(filters), t, rtol, 1e-3 * rtol, smooth)
    .map(y => unpacked(net, y));
  const v = path.map(w => end_to_end(net, w));
  return { t, filters: path, end_to_end: v, loss: v.map(loss.value),
    invariants: path.map(w => invariants(net, w)) };
}

export function gradient_descent(net, loss, filters, step, n_steps) {
  const path = [filters];
  for (let n = 0; n < n_steps; n++) {
    const w = path[n], g = vjp(net, w, loss.gradient(end_to_end(net, w)));
    path.push(w.map((x, i) => plus(x, g[i], -step)));
    if (!path[n + 1].flat().every(x => Math.abs(x) < 1e6)) break; // it blows up
  }
  const v = path.map(w => end_to_end(net, w));
  return { filters: path, end_to_end: v, loss: v.map(loss.value),
    invariants: path.map(w => invariants(net, w)) };
}

// Dormand and Prince's pair of orders five and four.
const A = [[1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84]];
const E = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];

// States at the times t of y' = f(y), y(t[0]) = y. Where the flow comes to rest the explicit pair
// may take no step longer than the fastest mode allows; there a linearly implicit one takes over.
// Each time but the first ends a step; when it need only be `smooth`, for a drawing, the last one
// does, and the others are interpolated.
export function integrate(f, y, t, rtol = 1e-7, atol = 1e-3 * rtol, smooth = false) {
  const out = [y], n = y.length;
  const measure = (err, a, b) => {
    let s = 0;
    for (let i = 0; i < n; i++) {
      const e = err[i] / (atol + rtol * Math.max(Math.abs(a[i]), Math.abs(b[i])));
      s += e * e;
    }
    return Math.sqrt(s / n);
  };
  let now = t[0], k0 = f(y), h = 0.01 * (norm(y) + atol) / (norm(k0) + 1e-300), implicit = false;
  for (let m = 1; m < t.length;) {
    const goal = smooth ? t[t.length - 1] : t[m];
    for (let step = 0; now < goal && step < 20000; step++) {
      const last = h >= goal - now, d = last ? goal - now : h;
      const { z, k, error, stiff } = implicit ? rosenbrock(f, y, k0, d) : explicit(f, y, k0, d);
      const e = measure(error, y, z), order = implicit ? 3 : 5;
      const factor = Math.min(5, Math.max(0.2, 0.9 * (e + 1e-12) ** (-1 / order)));
      if (e <= 1) {
        const next = last ? goal : now + d;
        for (; smooth && m < t.length - 1 && t[m] < next; m++)
          out.push(hermite((t[m] - now) / d, d, y, k0, z, k));
        now = next;
        y = z;
        k0 = k;
        if (!last || factor < 1) h = d * factor;
        if (!implicit && stiff > 2.5) { // limited by stability: does the other one get further?
          const far = rosenbrock(f, y, k0, 2 * d);
          if (measure(far.error, y, far.z) < 0.5) { implicit = true; h = 2 * d; }
        }
      } else {
        h = d * factor;
        if (implicit && e > 100) implicit = false;
      }
    }
    out.push(y);
    m = smooth ? t.length : m + 1;
  }
  while (out.length < t.length) out.push(y); // equal times at the end
  return out;
}

// The cubic with these values and slopes at the ends of a step of length h.
function hermite(x, h, y0, k0, y1, k1) {
  const a = (1 + 2 * x) * (1 - x) ** 2, b = h * x * (1 - x) ** 2, c = x * x * (3 - 2 * x), d = h * x * x * (x - 1);
  return y0.map((y, i) => a * y + b * k0[i] + c * y1[i] + d * k1[i]);
}

function explicit(f, y, k0, h) {
  const k = [k0], n = y.length;
  let z, before;
  for (const row of A) {
    before = z;
    z = Array(n);
    for (let i = 0; i < n; i++) {
      let s = 0;
      for (let j = 0; j < row.length; j++) s += row[j] * k[j][i];
      z[i] = y[i] + h * s;
    }
    k.push(f(z));
  }
  const error = Array(n);
  for (let i = 0; i < n; i++) {
    error[i] = 0;
    for (let j = 0; j < 7; j++) error[i] += h * E[j] * k[j][i];
  }
  const moved = norm(plus(z, before, -1));
  const stiff = moved > 0 ? h * norm(plus(k[6], k[5], -1)) / moved : 0;
  return { z, k: k[6], error, stiff };
}

// The L-stable pair of orders two and three of Shampine and Reichelt.
function rosenbrock(f, y, k0, h) {
  const n = y.length, d = 1 / (2 + Math.SQRT2), e = 6 + Math.SQRT2, W = y.map(() => Array(n));
  for (let j = 0; j < n; j++) {
    const eps = 1e-6 * (1 + Math.abs(y[j])), up = y.slice(), down = y.slice();
    up[j] += eps;
    down[j] -= eps;
    const a = f(up), b = f(down);
    for (let i = 0; i < n; i++) W[i][j] = +(i === j) - h * d * (a[i] - b[i]) / (2 * eps);
  }
  const k1 = solve(W, k0), f1 = f(plus(y, k1, h / 2));
  const k2 = plus(solve(W, plus(f1, k1, -1)), k1), z = plus(y, k2, h), f2 = f(z);
  const k3 = solve(W, f2.map((x, i) => x - e * (k2[i] - f1[i]) - 2 * (k1[i] - k0[i])));
  return { z, k: f2, error: k1.map((x, i) => h / 6 * (x - 2 * k2[i] + k3[i])) };
}

// ---- the metric

// Points of centre + size · matrix^(1/2) · unit circle; of K, the unit ball of the metric.
export function ellipse(matrix, centre = [0, 0], size = 1, n = 61) {
  const { values, vectors: [p, q] } = eigh(matrix);
  const [a, b] = values.map(x => size * Math.sqrt(Math.max(x, 0)));
  return Array.from({ length: n }, (_, i) => {
    const turn = 2 * Math.PI * i / (n - 1), c = a * Math.cos(turn), s = b * Math.sin(turn);
    return [centre[0] + c * p[0] + s * q[0], centre[1] + c * p[1] + s * q[1]];
  });
}

// The shortest change of the filters that moves v with velocity a.
export function horizontal_lift(net, filters, a) {
  const J = jacobian(net, filters), { values, vectors } = eigh(J.map(x => J.map(y => dot(x, y))));
  const top = values[values.length - 1];
  let c = a.map(() => 0);
  values.forEach((x, i) => { if (x > 1e-12 * top) c = plus(c, vectors[i], dot(vectors[i], a) / x); });
  return unpacked(net, J[0].map((_, j) => J.reduce((s, row, i) => s + row[j] * c[i], 0)));
}

export const inner = (net, filters, a, b) =>
  dot(packed(horizontal_lift(net, filters, a)), packed(horizontal_lift(net, filters, b)));

// Two layers: filters along the geodesic from v with velocity a, on the surface of constant δ,
// at the increasing parameters s from s[0] = 0. It ends where a filter vanishes.
export function geodesic_filters(net, filters, a, s, rtol = 1e-8, smooth = false) {
  const n1 = net.filter_shapes[0], n = net.n_parameters;
  const f = y => { // the acceleration is normal to the surface |w2|² - |w1|² = δ
    let size = 0, bend = 0;
    for (let i = 0; i < n; i++) {
      size += y[i] * y[i];
      bend += (i < n1 ? -1 : 1) * y[n + i] * y[n + i];
    }
    const out = y.slice(n);
    for (let i = 0; i < n; i++) out.push((i < n1 ? bend : -bend) / size * y[i]);
    return out;
  };
  const start = [...packed(filters), ...packed(horizontal_lift(net, filters, a))];
  return integrate(f, start, s, rtol, 1e-3 * rtol, smooth).map(y => unpacked(net, y.slice(0, n)));
}

export const geodesic = (net, filters, a, s, rtol = 1e-8) =>
  geodesic_filters(net, filters, a, s, rtol).map(w => end_to_end(net, w));

// ---- critical points, for sizes (2, 2) and a stride of two or more

const value = (p, [x, y]) => p.reduceRight(([a, b], c) => [a * x - b * y + c, a * y + b * x], [0, 0]);
const product = ([a, b], [c, d]) => [a * c - b * d, a * d + b * c];
const quotient = (a, [c, d]) => product(a, [c / (c * c + d * d), -d / (c * c + d * d)]);
const slope = p => p.slice(1).map((c, j) => c * (j + 1));

// All complex critical points v != 0 of a quadratic loss, [re, im] for each number; the real ones come
// first, in the order of their loss; index 0 at a minimum, 1 at a saddle, -1 where it is not real.
// For a given second filter the best first one solves G w1 = y; what is left depends on one number,
// the place z of the second filter on the line e[0] + z e[1], and its slope is a polynomial W.
export function critical_points(net, { target, weight }) {
  const s = net.strides[0], A = weight || target.map((_, i) => target.map((_, j) => +(i === j)));
  const e = [[0.8, 0.6], [-0.6, 0.8]], Av = A.map(row => dot(row, target)); // tilted: no z at infinity
  const T = e.map(f => [0, 1].map(a => multiply([a ? 0 : 1, a ? 1 : 0], f, s)));
  const form = (a, b) => {
    const out = [0, 0, 0];
    T.forEach((p, i) => T.forEach((q, j) => { out[i + j] += dot(p[a], A.map(row => dot(row, q[b]))); }));
    return out;
  };
  const [g, h, k] = [form(0, 0), form(0, 1), form(1, 1)], y = [0, 1].map(a => T.map(p => dot(p[a], Av)));
  const minus = (p, q) => plus(p, q, -1), D = minus(multiply(g, k), multiply(h, h));
  const best = [minus(multiply(k, y[0]), multiply(h, y[1])), minus(multiply(g, y[1]), multiply(h, y[0]))];
  const Q = plus(multiply(y[0], best[0]), multiply(y[1], best[1]));
  const full = minus(multiply(slope(Q), D), multiply(Q, slope(D))).slice(0, 7), most = Math.max(...full.map(Math.abs));
  const W = full.map(c => Math.abs(c) < 1e-13 * most ? 0 : c), top = Math.max(...D.map(Math.abs));
  const points = roots(W).map(z => {
    const d = value(D, z), real = Math.abs(z[1]) < 1e-7 * (1 + Math.abs(z[0]));
    if (real) z = [z[0], 0];
    if (Math.hypot(...d) < 1e-9 * top * (1 + Math.hypot(...z)) ** 4) return null; // no such w1
    const w1 = best.map(p => quotient(value(p, z), d)), w2 = [0, 1].map(j => [e[0][j] + z[0] * e[1][j], z[1] * e[1][j]]);
    const v = target.map(() => [0, 0]), rest = quotient(value(Q, z), d);
    w1.forEach((a, i) => w2.forEach((b, j) => { v[i + j * s] = product(a, b); }));
    return { filters: [w1, w2], end_to_end: v, real, loss: [dot(target, Av) / 2 - rest[0] / 2, -rest[1] / 2],
      index: real ? +(value(slope(W), z)[0] > 0) : -1 };
  }).filter(x => x);
  return points.sort((a, b) => b.real - a.real || a.loss[0] - b.loss[0]);
}

// The angle of a filter as a line, between 0 and π.
export const direction = ([x, y]) => {
  const a = Math.atan2(y, x);
  return a < 0 ? a + Math.PI : a >= Math.PI ? a - Math.PI : a;
};

// The valleys of a loss: the directions of the second filter between two saddles, with their minimum.
export function valleys(points) {
  const real = points.filter(p => p.real).map(p => ({ ...p, at: direction(p.filters[1].map(x => x[0])) }));
  const walls = real.filter(p => p.index === 1).sort((a, b) => a.at - b.at), minima = real.filter(p => p.index === 0);
  const n = walls.length;
  return walls.map((wall, i) => {
    const next = walls[(i + 1) % n], from = wall.at, to = next.at + (i + 1 < n ? 0 : Math.PI);
    const inside = a => (a > from && a < to) || a + Math.PI < to;
    const rim = Math.min(wall.loss[0], next.loss[0]), minimum = minima.findIndex(m => inside(m.at));
    const depth = rim - (minima[minimum] || wall).loss[0]; // near the bottom: one part of 500
    return { inside, rim, minimum, bottom: rim - 0.998 * depth };
  });
}

// The number of the minimum in which a gradient flow of sizes (2, 2), stride two, ends, by a fast pair
// of orders two and three. Below both walls of its valley the flow cannot leave it: there the answer is
// known. With a path to fill in, [direction 1, direction 2, loss], it goes on to the bottom.
export function fall({ target, weight }, [[a, b], [c, d]], places, path = null) {
  if (!path && places.length < 2) return 0; // one valley
  const [[p0, p1, p2, p3], [, q1, q2, q3], [, , r2, r3], [, , , s3]] = weight, [t0, t1, t2, t3] = target;
  let loss = 0;
  const f = (a, b, c, d, out) => {
    const x = a * c - t0, y = b * c - t1, z = a * d - t2, u = b * d - t3;
    const g = p0 * x + p1 * y + p2 * z + p3 * u, h = p1 * x + q1 * y + q2 * z + q3 * u;
    const k = p2 * x + q2 * y + r2 * z + r3 * u, l = p3 * x + q3 * y + r3 * z + s3 * u;
    loss = 0.5 * (x * g + y * h + z * k + u * l);
    out[0] = -c * g - d * k;
    out[1] = -c * h - d * l;
    out[2] = -a * g - b * h;
    out[3] = -a * k - b * l;
  };
  let [k1, k2, k3, k4, w] = Array.from({ length: 5 }, () => new Float64Array(4)), step = 0.02, place = null;
  f(a, b, c, d, k1);
  for (let n = 0; n < 800; n++) {
    const at = Math.atan2(d, c), angle = at < 0 ? at + Math.PI : at, before = loss;
    if (path) { // near the bottom many steps change nothing that can be seen
      const here = [direction([a, b]), angle, loss], last = path[path.length - 1];
      if (!last || here.some((x, i) => Math.abs(x - last[i]) > 0.03)) path.push(here);
    }
    if (!place || !place.inside(angle)) place = places.find(p => p.inside(angle)) || places[0];
    if (loss < (path ? place.bottom : place.rim)) break;
    const h = step / 2, m = 0.75 * step;
    f(a + h * k1[0], b + h * k1[1], c + h * k1[2], d + h * k1[3], k2);
    f(a + m * k2[0], b + m * k2[1], c + m * k2[2], d + m * k2[3], k3);
    for (let i = 0; i < 4; i++) w[i] = step * (2 * k1[i] + 3 * k2[i] + 4 * k3[i]) / 9;
    w[0] += a;
    w[1] += b;
    w[2] += c;
    w[3] += d;
    f(w[0], w[1], w[2], w[3], k4);
    let e = 0;
    for (let i = 0; i < 4; i++) e = Math.max(e, Math.abs(-5 * k1[i] / 72 + k2[i] / 12 + k3[i] / 9 - k4[i] / 8));
    e *= step / ((path ? 1e-4 : 2e-3) * Math.hypot(w[0], w[1], w[2], w[3]));
    if (e <= 1) {
      a = w[0];
      b = w[1];
      c = w[2];
      d = w[3];
      [k1, k4] = [k4, k1];
    } else loss = before;
    step *= Math.min(4, Math.max(0.25, 0.9 / Math.cbrt(e + 1e-9)));
  }
  return place.minimum;
}

// ---- counting, in any dimension: shapes and strides are lists of equally long lists

const long_axes = shape => shape.flatMap((n, a) => n > 1 ? [a] : []);
function cumulative(strides) {
  const out = [strides[0].map(() => 1)];
  for (let i = 0; i + 1 < strides.length; i++) out.push(out[i].map((s, a) => s * strides[i][a]));
  return out;
}
function grouped(keys) {
  const groups = new Map();
  keys.forEach((key, i) => { if (key) groups.set(key, [...(groups.get(key) || []), i]); });
  return [...groups.values()].filter(g => g.length > 1);
}
const factorial = n => n < 2 ? 1 : n * factorial(n - 1);

// Layers, long on one and the same axis only, with one cumulative stride: they share roots.
export const root_groups = (shapes, strides) => grouped(cumulative(strides).map((s, i) => {
  const axes = long_axes(shapes[i]);
  return axes.length === 1 ? `${axes[0]}:${s[axes[0]]}` : "";
}));

// Layers of equal shape and, on the axes where they are long, equal cumulative stride.
export const interchangeable = (shapes, strides) => grouped(cumulative(strides).map((s, i) =>
  long_axes(shapes[i]).map(a => `${a}:${shapes[i][a]}:${s[a]}`).join()));

// The number of kernels at a generic v whose roots are all real, for generic δ or for δ = 0.
export function generic_kernel_count(shapes, strides, balanced = false) {
  let total = 1;
  for (const group of root_groups(shapes, strides)) {
    const degrees = group.map(i => Math.max(...shapes[i]) - 1);
    total *= factorial(degrees.reduce((a, b) => a + b)) / degrees.reduce((p, d) => p * factorial(d), 1);
  }
  for (const group of interchangeable(shapes, strides)) {
    const wide = long_axes(shapes[group[0]]).length > 1;
    if (wide) total *= factorial(group.length);
    if (balanced) total /= factorial(group.length);
  }
  return total;
}
