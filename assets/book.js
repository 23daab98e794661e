// What the theme and the Jupyter widgets leave out: names, states and spoken changes.
(function () {
  "use strict";
  // The widgets' icon font lies beside their bundle, not beside the page.
  window.__jupyter_widgets_assets_path__ = new URL("vendor/html-manager/", document.currentScript.src).href;

  // The widgets' bundle still asks for MathJax 2's queue; there is no mathematics in them.
  document.addEventListener("DOMContentLoaded", function () {
    if (window.MathJax && !window.MathJax.Hub) window.MathJax.Hub = { Queue: function () {} };
  });

  function set(element, name, value) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  function mendWidget(box) {
    box.querySelectorAll(".widget-slider, .widget-toggle-buttons, .widget-dropdown").forEach(function (w) {
      var label = w.querySelector(".widget-label");
      var name = label ? label.textContent : "";
      if (label) label.removeAttribute("title");
      w.querySelectorAll("select").forEach(function (s) { set(s, "aria-label", name); s.removeAttribute("title"); });
      var readout = w.querySelector(".widget-readout");
      if (readout) set(readout, "contenteditable", "false");
      w.querySelectorAll(".noUi-handle").forEach(function (handle) {
        set(handle, "aria-label", name);
        if (readout) set(handle, "aria-valuetext", readout.textContent);
      });
      w.querySelectorAll(".widget-toggle-button").forEach(function (button) {
        set(button.parentNode, "role", "group");
        set(button.parentNode, "aria-label", name);
        set(button, "aria-pressed", String(button.classList.contains("mod-active")));
      });
    });
    var picture = box.querySelector("svg.lcn-figure");
    if (!picture) return;
    // A frame is taken away before the next one is there: keep its room.
    var stack = box.querySelector(":scope > .widget-box");
    if (stack && stack.offsetHeight > parseFloat(stack.style.minHeight || 0)) stack.style.minHeight = stack.offsetHeight + "px";
    var words = picture.getAttribute("aria-label");
    var live = box.nextElementSibling;
    if (!live || !live.classList.contains("lcn-live")) {
      live = document.createElement("div");
      live.className = "lcn-live";
      live.setAttribute("aria-live", "polite");
      live.dataset.words = words; // the first picture is part of the page, not a change
      box.after(live);
    } else if (live.dataset.words !== words) {
      live.dataset.words = words;
      clearTimeout(live.timer); // speak where a drag ends, not on its way
      live.timer = setTimeout(function () { live.textContent = words; }, 150);
    }
  }

  var pending = false;
  new MutationObserver(function () {
    if (pending) return;
    pending = true;
    requestAnimationFrame(function () {
      pending = false;
      document.querySelectorAll(".lcn-explore").forEach(mendWidget);
    });
  }).observe(document.documentElement, { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["class"] });

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

  window.addEventListener("resize", function () {
    document.querySelectorAll(".lcn-explore > .widget-box").forEach(function (s) { s.style.minHeight = ""; });
  });
})();
