// Questions that the browser tests ask of a page; each answers with what is wrong.
window.probes = (() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const start = element => element.outerHTML.slice(0, 160);

  // Relative luminance of a CSS colour, as WCAG defines it.
  const numbers = colour => colour.match(/[\d.]+/g).map(Number);
  const luminance = colour => {
    const [r, g, b] = numbers(colour).map(x => x / 255)
      .map(x => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const scrolls = element => {
    for (let e = element; e && e !== document.body; e = e.parentElement) {
      if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(e).overflowX)) return true;
    }
    return false;
  };

  return {
    untypeset: () => all("span.math, div.math").filter(e => !e.querySelector("mjx-container")).map(start),
    // MathJax shows an unknown macro as red text.
    texErrors: () => all('mjx-merror, [data-mjx-error], mjx-mtext[style*="color: red"]')
      .map(e => e.dataset.mjxError || e.textContent || start(e)),
    rawTex: () => document.querySelector("main").innerText.match(/\\(begin|frac|mathbb|operatorname)\b.*/g) || [],
    broken: () => [...document.images].filter(i => i.complete && !i.naturalWidth).map(start),
    // Icons inside buttons are not pictures; axe-core asks for the names of buttons.
    nameless: () => all("main img, main svg, main [role=img]")
      .filter(e => !e.closest("[aria-hidden=true], mjx-container, button"))
      .filter(e => {
        const alt = (e.getAttribute("alt") || e.getAttribute("aria-label") || "").trim();
        const bare = e.tagName === "svg" && e.getAttribute("role") !== "img";
        return bare || alt.length < 15 || /\.(svg|png|jpe?g|gif)$/i.test(alt);
      }).map(start),
    // axe-core does not look into drawings.
    pale: () => all("svg.lcn-figure").filter(e => e.clientWidth).filter(e => {
      const [low, high] = [getComputedStyle(e).color, background(e)].map(luminance).sort((a, b) => a - b);
      return (high + 0.05) / (low + 0.05) < 4.5;
    }).map(start),
    // What sticks out of the page sideways, outside boxes that scroll by themselves.
    wide: () => all("main *").filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
      .filter(e => !scrolls(e)).map(start),
    // Tables whose columns are too narrow to read: a cell of words, thinner than a short word.
    cramped: () => all("main table td, main table th")
      .filter(e => e.innerText.trim().length > 12 && e.clientWidth < 64).map(start),
  };
})();
