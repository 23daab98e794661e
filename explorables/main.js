// The two homes of the pictures: a page of the book, and a widget in JupyterLab, VS Code or Colab.
import { Stage } from "./stage.js";
import { basins } from "./basins.js";
import { bounce } from "./bounce.js";
import { comb } from "./comb.js";
import { geodesics } from "./geodesics.js";
import { hyperbolas } from "./hyperbolas.js";
import { map } from "./map.js";
import { painting } from "./painting.js";
import { plane } from "./plane.js";
import { polynomials } from "./polynomials.js";

export const PICTURES = { basins, bounce, comb, geodesics, hyperbolas, map, painting, plane, polynomials };

// In the address: name!key=value!key=value, values as JSON without quotes.
function readAddress(name, defaults) {
  const found = {}, text = new URLSearchParams(location.search).get(name);
  for (const part of (text || "").split("!")) {
    const [key, value] = part.split("=");
    if (!(key in defaults)) continue;
    try {
      const read = JSON.parse(value), like = defaults[key];
      const fits = Array.isArray(like) ? Array.isArray(read) && read.flat().every(Number.isFinite)
        && read.length === like.length && read.flat().length === like.flat().length : typeof read === typeof like;
      if (fits) found[key] = read;
    } catch { /* somebody has written it by hand: the default stays */ }
  }
  return found;
}

function writeAddress(name, state) {
  const url = new URL(location.href), round = (k, x) => typeof x === "number" ? +x.toFixed(5) : x;
  const text = Object.entries(state).map(([k, v]) => `${k}=${JSON.stringify(v, round)}`).join("!");
  const others = [...url.searchParams].filter(([k]) => k !== name).map(([k, v]) => `${k}=${v}`);
  url.search = "?" + [...others, `${name}=${text}`].join("&");
  try { history.replaceState(history.state, "", url); } catch { /* not allowed from a file */ }
}

// Bring the pictures of the page to life.
export function start() {
  document.querySelectorAll("[data-picture]").forEach((host, i) => {
    const picture = PICTURES[host.dataset.picture], name = host.id || `picture-${i}`;
    if (!picture || host.classList.contains("lcn-alive")) return;
    host.classList.add("lcn-alive");
    const given = { ...picture.defaults, ...JSON.parse(host.dataset.state || "{}") };
    const stage = new Stage(host, picture, {
      read: () => ({ ...given, ...readAddress(name, given) }),
      write() {}, listen() {},
      rest: state => writeAddress(name, state),
    });
    stage.first = given;
  });
}

// The same in a widget, whose state Python shares.
export function render({ model, el }) {
  const picture = PICTURES[model.get("picture")], keys = Object.keys(picture.defaults);
  const host = document.createElement("div");
  el.append(host);
  if (model.get("caption")) {
    const legend = document.createElement("p");
    legend.textContent = model.get("caption");
    el.append(legend);
  }
  // JupyterLab would take the arrow keys from what has the focus.
  el.addEventListener("focusin", event => { event.target.dataset.lmSuppressShortcuts = "true"; });
  // What Python has not been told yet.  The echo of an earlier move may come meanwhile: it takes nothing back.
  let untold = {};
  const write = patch => {
    Object.assign(untold, patch);
    Object.entries(patch).forEach(([k, v]) => model.set(k, v));
  };
  new Stage(host, picture, {
    read: () => Object.fromEntries(keys.map(k => [k, model.get(k)])),
    write,
    rest: () => { write(untold); untold = {}; model.save_changes(); },
    listen: told => keys.forEach(k => model.on(`change:${k}`, () => {
      if (!(k in untold)) told({ [k]: model.get(k) });
    })),
  });
}
