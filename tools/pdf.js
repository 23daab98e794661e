// Makes a page of the built book ready for paper; tools/pdf.py says how it goes on.
async () => {
  if (window.MathJax && MathJax.typesetPromise) await MathJax.typesetPromise();
  const article = document.querySelector("article");
  const breadth = svg => { // its width over its height
    const [, , across, down] = svg.getAttribute("viewBox").split(" ").map(Number);
    return across / down;
  };
  // A widget holds a frame for each combination of its controls' values: up to six of them, or
  // four where pictures are too wide to be read two abreast.
  for (const box of article.querySelectorAll(".lcn-explore")) {
    const controls = [...box.querySelectorAll(".lcn-control")].map(control => {
      const range = control.querySelector("input[type=range]");
      const name = control.querySelector("label, legend").textContent.trim();
      const texts = range ? JSON.parse(range.dataset.texts)
        : [...control.querySelectorAll("option, input[type=radio]")].map(
            o => (o.tagName === "OPTION" ? o : o.parentElement).textContent.trim());
      return { name, texts };
    });
    const frames = {};
    const seen = box.querySelector(".lcn-frame");
    frames[seen.dataset.frame] = seen.innerHTML;
    for (const s of box.querySelectorAll("script[data-frame]")) frames[s.dataset.frame] = s.textContent;
    // The control with the most values runs; the others stay where they start.
    const number = key => key.split("-").map(Number), start = number(seen.dataset.frame);
    const counts = controls.map(c => c.texts.length), runs = counts.indexOf(Math.max(...counts));
    const keys = controls[runs].texts.map((_, i) => start.map((v, c) => c === runs ? i : v).join("-"));
    const wide = breadth(seen.querySelector("svg")) > 1.8, many = Math.min(wide ? 4 : 6, keys.length);
    const grid = document.createElement("div");
    grid.className = wide ? "print-multiples print-wide" : "print-multiples";
    for (let k = 0; k < many; k++) {
      const key = keys[Math.round(k * (keys.length - 1) / Math.max(1, many - 1))];
      const words = number(key).map((v, i) => `${controls[i].name}: ${controls[i].texts[v]}`);
      const cell = document.createElement("div");
      cell.innerHTML = frames[key].replaceAll(/(id="|url\(#|href="#)(f[0-9a-f]{8}-)/g, `$1m${k}$2`);
      const label = document.createElement("p");
      label.textContent = words.join(", ");
      cell.append(label);
      grid.append(cell);
    }
    const caption = box.querySelector("figcaption");
    box.replaceChildren(grid, ...(caption ? [caption] : []));
  }
  // Others are made lower on paper; one that is much higher than wide could not be read then.
  for (const picture of article.querySelectorAll("svg.lcn-figure[viewBox]")) {
    picture.classList.toggle("print-tall", breadth(picture) < 0.8);
  }
  // A picture to drag says so, but not on paper.
  for (const caption of article.querySelectorAll("figure:has(> .lcn-touch) > figcaption"))
    if (/\b(drag|turn|paint|play)\b/i.test(caption.textContent)) caption.prepend("On a screen: ");
  // Drawing code is for screens; what else is folded is for readers.
  for (const code of article.querySelectorAll("details.hide")) code.remove();
  for (const details of article.querySelectorAll("details")) details.open = true;
  for (const hidden of article.querySelectorAll(".toggle-hidden"))
    hidden.classList.remove("toggle-hidden");
  // Solutions, and the cells that belong to them, at the end.
  const solutions = [...article.querySelectorAll(".solution")];
  if (solutions.length) {
    const end = document.createElement("section");
    end.innerHTML = "<h2>Solutions</h2>";
    for (const solution of solutions) end.append(solution);
    (article.querySelector("section") || article).append(end);
  }
  for (const away of article.querySelectorAll(
      "script, .headerlink, .toggle-button, .copybtn, .prev-next-area, .lcn-live, .lcn-pdf")) away.remove();
  const styles = [...document.querySelectorAll("style[id^=MJX], #MJX-CHTML-styles")];
  return { html: article.innerHTML, title: article.querySelector("h1").innerText,
           style: styles.map(s => s.sheet ? [...s.sheet.cssRules].map(r => r.cssText).join("\n")
                                          : s.textContent) };
}
