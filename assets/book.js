// The widgets of the book, and what the theme leaves out for the keyboard.
(function () {
  "use strict";

  // On a first visit the theme decides on light or dark in its last script; that would show the page
  // in the wrong colours before, and restyle all of it.
  var look = document.documentElement.dataset;
  if (look.theme === "auto")
    look.theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

  // The theme's buttons; the pages' policy allows no handlers in their tags (ext/publishing.py).
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-press]");
    if (button) window[button.dataset.press]();
  });

  // A widget holds a frame for every combination of its controls' values, one seen and the others
  // as data; exchange the one that is seen for the chosen one.
  function show(box, spoken) {
    var chosen = [];
    box.querySelectorAll("input[type=range], select, input:checked").forEach(function (control) {
      chosen.push(control.value);
      if (control.type !== "range") return;
      var text = JSON.parse(control.dataset.texts)[control.value];
      control.setAttribute("aria-valuetext", text);
      control.nextElementSibling.textContent = text;
    });
    var key = chosen.join("-"), seen = box.querySelector(".lcn-frame");
    if (seen.dataset.frame !== key) {
      var data = box.querySelector('script[data-frame="' + key + '"]'), picture = data.textContent;
      data.textContent = seen.innerHTML;
      data.dataset.frame = seen.dataset.frame;
      seen.innerHTML = picture;
      seen.dataset.frame = key;
    }
    if (!spoken) return;
    var live = box.querySelector(".lcn-live");
    clearTimeout(live.timer); // speak where a drag ends, not on its way
    live.timer = setTimeout(function () {
      live.textContent = seen.firstElementChild.getAttribute("aria-label");
    }, 150);
  }

  document.addEventListener("input", function (event) {
    var box = event.target.closest(".lcn-explore");
    if (box) show(box, true);
  });
  // A browser may bring back the controls' last state with the page.
  window.addEventListener("pageshow", function () {
    document.querySelectorAll(".lcn-explore").forEach(function (box) { show(box, false); });
  });

  // All formulas at once would keep the page from answering for a second.  So typeset them in
  // pieces, those in view first, whenever the page has nothing else to do.
  function inView(element) {
    var box = element.getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight;
  }
  // One piece after the other: MathJax does not queue them.
  var line = Promise.resolve();
  window.lcnTypeset = function (elements) {
    line = line.then(function () { return window.MathJax.typesetPromise(elements); });
    return line;
  };
  async function typeset() {
    var wait = window.requestIdleCallback || window.setTimeout; // Safari has no idle callbacks
    // Safari's engine lays out the whole page anew after each piece, a second for twenty formulas, and
    // does not hold what is in view: so few pieces there, and one for a link into the page.
    var holds = CSS.supports("overflow-anchor", "auto"), size = location.hash && !holds ? Infinity : 20;
    await new Promise(function (go) { document.addEventListener("DOMContentLoaded", go); });
    var left = Array.from(document.querySelectorAll(".math"));
    while (left.length) {
      var seen = left.filter(inView), piece = new Set((seen.length ? seen : left).slice(0, size));
      left = left.filter(function (element) { return !piece.has(element); });
      await window.lcnTypeset(Array.from(piece));
      await new Promise(function (go) { wait(go, { timeout: 1000 }); });
      if (!holds) size *= 10;
    }
    await document.fonts.ready;
    holdStops();
    returnToPlace();
  }
  // A line may end between a formula and its full stop: hold the two together.  Long formulas may
  // have to break, they stay as they are.
  function holdStops() {
    var short = Array.from(document.querySelectorAll("span.math")).filter(function (math) {
      var next = math.nextSibling;
      return next && next.nodeType === Node.TEXT_NODE && /^[.,;:!?)”’]/.test(next.data) && math.offsetWidth < 200;
    });
    short.forEach(function (math) {
      var stops = math.nextSibling, box = document.createElement("span");
      stops.splitText(/^[.,;:!?)”’]+/.exec(stops.data)[0].length);
      box.className = "lcn-hold";
      math.before(box);
      box.append(math, stops);
    });
  }
  // A link into the page: formulas have moved its place since the browser went there.  Who has
  // scrolled meanwhile stays where he is.
  var moved = false;
  ["wheel", "touchmove", "keydown", "pointerdown"].forEach(function (kind) {
    window.addEventListener(kind, function () { moved = true; }, { passive: true });
  });
  function returnToPlace() {
    var place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (place && !moved) place.scrollIntoView();
  }
  if (window.MathJax) { // on pages with formulas
    window.MathJax.startup = { pageReady: typeset };
    window.addEventListener("beforeprint", function () {
      if (window.MathJax.typeset) window.MathJax.typeset(); // paper does not wait
    });
  }

  // Paper is light and shows what is folded, but for drawing code; afterwards the page is as it was.
  var folded = [];
  window.addEventListener("beforeprint", function () {
    document.documentElement.dataset.lcnTheme = look.theme;
    look.theme = "light";
    folded = Array.from(document.querySelectorAll("main details:not([open], .hide)"));
    folded.forEach(function (e) { e.open = true; });
  });
  window.addEventListener("afterprint", function () {
    if (look.lcnTheme) look.theme = look.lcnTheme;
    delete look.lcnTheme;
    folded.forEach(function (e) { e.open = false; });
  });

  // A box that scrolls sideways must be reachable by keyboard.
  function markScrollers() {
    document.querySelectorAll('mjx-container[display="true"], .math, .highlight pre, .cell_output pre, .pst-scrollable-table-container').forEach(function (e) {
      var scrolls = e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflowX);
      if (scrolls) e.tabIndex = 0; else if (e.matches("mjx-container, .math")) e.removeAttribute("tabindex");
    });
  }
  window.addEventListener("load", function () {
    var ready = window.MathJax && window.MathJax.startup && window.MathJax.startup.promise;
    Promise.resolve(ready).then(markScrollers);
  });
  window.addEventListener("resize", markScrollers);
  document.addEventListener("toggle", markScrollers, true);
})();
