// Links that show: what a link leads to, in a card beside it.  A mouse that rests on it or the
// keyboard's focus opens the card, Escape or leaving closes it; a finger's first tap opens it at the
// foot of the screen, with a link that goes there.  And the way back, after a reference was followed.
// ext/reading.py writes the cards, one script for each page.
(function () {
  "use strict";
  var root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  var LINKS = 'main a[href*="#"]:not(.headerlink, [role="doc-backlink"], .lcn-here)';

  // --- what the cards show

  var pages = {}, loading = {};
  window.lcnCards = function (name, title, cards) {
    pages[name] = { title: title, cards: Object.assign((pages[name] || {}).cards || {}, cards) };
  };
  function script(path) {
    loading[path] = loading[path] || new Promise(function (done) {
      var tag = document.createElement("script");
      tag.src = new URL(path, root);
      tag.onload = tag.onerror = done;
      document.head.append(tag);
    });
    return loading[path];
  }
  // The page of the book and the place in it that a link leads to, or null.
  function target(link) {
    var url = new URL(link.href, location.href), path = url.pathname, home = root.pathname;
    if (url.origin !== location.origin || !path.startsWith(home) || url.hash.length < 2) return null;
    return { page: decodeURIComponent(path.slice(home.length)).replace(/\.html$/, ""),
             id: decodeURIComponent(url.hash.slice(1)), url: url };
  }
  async function contents(place) {
    var file = "_static/cards/" + place.page;
    await script(file + ".js");
    var page = pages[place.page];
    if (page && page.cards[place.id] === 0) await script(file + "/" + place.id + ".js");
    if (!page || !pages[place.page].cards[place.id]) return null;
    // A document that is not shown: pictures in it are not fetched before their address is right.
    var body = new DOMParser().parseFromString(pages[place.page].cards[place.id], "text/html").body;
    body.querySelectorAll("[href], [src]").forEach(function (e) {
      var name = e.hasAttribute("href") ? "href" : "src", value = e.getAttribute(name);
      if (!e.closest("svg")) e.setAttribute(name, new URL(value, place.url).href);
    });
    return { title: page.title, nodes: Array.from(body.childNodes) };
  }
  // A page without formulas has no MathJax.
  async function typeset(box) {
    var formulas = Array.from(box.querySelectorAll(".math"));
    if (!formulas.length) return;
    if (!window.MathJax) {
      await script("_static/mathjax-later.js");
      await script("_static/vendor/mathjax/tex-chtml.js");
    }
    while (!window.MathJax.typesetPromise) await new Promise(function (go) { setTimeout(go, 50); });
    await window.lcnTypeset(formulas);
  }
  window.lcnReading = { // for the answers to a search
    contents: function (link) { return contents(target(link)); },
    typeset: typeset,
  };

  // --- the card

  var card = null, owner = null, timer = 0, asked = 0, finger = false;

  function close(back) {
    clearTimeout(timer);
    asked += 1;
    if (!card) return;
    var held = card.contains(document.activeElement), link = owner;
    link.removeAttribute("aria-describedby");
    card.remove();
    card = owner = null;
    if (back && held) link.focus({ preventScroll: true });
  }

  function place(box, link, sheet) {
    if (sheet) { // it must not hide the link
      window.scrollBy(0, Math.max(0, link.getBoundingClientRect().bottom + 16 - box.getBoundingClientRect().top));
      return;
    }
    // A link that is broken into two lines has two boxes; the first is where it begins.
    var at = link.getClientRects()[0] || link.getBoundingClientRect(), gap = 6;
    var above = at.top - 56, below = window.innerHeight - at.bottom, wide = document.documentElement.clientWidth;
    box.style.maxHeight = Math.max(160, Math.max(above, below) - 2 * gap) + "px";
    var up = box.offsetHeight + 2 * gap > below && above > below;
    var end = link.getBoundingClientRect();
    var home = box.offsetParent.getBoundingClientRect();
    box.style.left = Math.max(8, Math.min(at.left, wide - box.offsetWidth - 8)) - home.left + "px";
    box.style.top = (up ? at.top - box.offsetHeight - gap : end.bottom + gap) - home.top + "px";
  }

  // `sheet`: for a finger, with things to press in it.
  async function show(link, sheet) {
    close();
    var place_ = target(link), mine = asked;
    var found = place_ && await contents(place_);
    if (mine !== asked) return true; // another link meanwhile
    if (!found) return false;
    var box = document.createElement("div"), body = document.createElement("div");
    var where = document.createElement("p");
    box.className = "lcn-card" + (sheet ? " lcn-sheet" : "");
    box.id = "lcn-card";
    body.className = "lcn-card-body";
    body.append.apply(body, found.nodes);
    where.className = "lcn-card-where";
    where.append(document.createElement("span"));
    where.firstChild.textContent = found.title;
    if (sheet) {
      var go = document.createElement("a"), shut = document.createElement("button");
      go.href = link.href;
      go.className = "lcn-card-go";
      go.textContent = "Go there";
      shut.type = "button";
      shut.textContent = "Close";
      shut.onclick = function () { close(true); };
      where.append(go, shut);
      box.setAttribute("role", "dialog");
      box.setAttribute("aria-label", link.textContent.trim());
      box.tabIndex = -1;
    } else {
      box.setAttribute("role", "tooltip");
      link.removeAttribute("title"); // else two cards
      body.querySelectorAll("a").forEach(function (a) { a.tabIndex = -1; });
    }
    box.append(body, where);
    box.style.visibility = "hidden";
    document.querySelector("main").append(box);
    card = box;
    owner = link;
    var wait = new Promise(function (go) { setTimeout(go, 1500); });
    var ready = typeset(body);
    await Promise.race([ready, wait]);
    ready.then(function () { if (card === box) place(box, link, sheet); });
    if (card !== box) return true;
    place(box, link, sheet);
    box.style.visibility = "";
    if (sheet) box.focus({ preventScroll: true });
    else link.setAttribute("aria-describedby", box.id);
    return true;
  }

  function linkAt(element) {
    return element.closest && !element.closest(".lcn-card") ? element.closest(LINKS) : null;
  }
  function later(wait, what) {
    clearTimeout(timer);
    timer = setTimeout(what, wait);
  }
  document.addEventListener("pointerdown", function (event) {
    finger = event.pointerType === "touch";
    if (card && !card.contains(event.target) && linkAt(event.target) !== owner) close();
  }, true);
  document.addEventListener("pointerover", function (event) {
    if (event.pointerType === "touch") return;
    var link = linkAt(event.target), inside = card && card.contains(event.target);
    if (inside || (link && link === owner)) clearTimeout(timer);
    else if (link) later(250, function () { show(link, false); });
    else if (card && !card.matches(".lcn-sheet") && document.activeElement !== owner) later(300, close);
    else if (!card) clearTimeout(timer);
  });
  document.addEventListener("focusin", function (event) {
    var link = linkAt(event.target);
    if (card && link !== owner && !card.contains(event.target)) close();
    if (link && link !== owner && !finger && link.matches(":focus-visible"))
      later(250, function () { show(link, false); });
  });
  document.addEventListener("focusout", function (event) {
    if (event.target === owner && card && !card.matches(".lcn-sheet") && !card.matches(":hover")) close();
    else if (!card) clearTimeout(timer);
  });
  document.addEventListener("keydown", function (event) {
    finger = false;
    if (event.key !== "Escape" || !card) return;
    close(true);
    event.stopPropagation();
  }, true);
  document.addEventListener("click", function (event) {
    var link = event.target.closest("a[href]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    var inside = card && card.contains(link);
    var shows = inside ? !link.matches(".lcn-card-go") : linkAt(link) && link !== owner;
    if (finger && event.detail && shows && target(link)) {
      event.preventDefault();
      show(link, true).then(function (shown) { if (!shown) follow(link); });
      return;
    }
    leave(inside ? owner : link, link);
    close();
  });
  function follow(link) {
    leave(link, link);
    location.href = link.href;
  }
  window.addEventListener("beforeprint", function () { close(); });

  // --- where one is on a long page: a line under the bar, and the section's name in the contents

  var line = document.createElement("div"), bar = document.querySelector(".bd-header-article");
  function progress() {
    var room = document.documentElement.scrollHeight - window.innerHeight;
    line.style.width = (room > window.innerHeight ? 100 * Math.min(1, window.scrollY / room) : 0) + "%";
  }
  if (bar) {
    line.className = "lcn-progress";
    bar.append(line);
    var drawn = 0;
    window.addEventListener("scroll", function () {
      cancelAnimationFrame(drawn);
      drawn = requestAnimationFrame(progress);
    }, { passive: true });
  }
  // Where the contents open over the page the theme marks nothing in them.
  document.addEventListener("click", function (event) {
    if (!event.target.closest(".secondary-toggle")) return;
    var entries = Array.from(document.querySelectorAll(".page-toc a[href^='#']")), now = null;
    entries.forEach(function (a) {
      var section = document.getElementById(decodeURIComponent(a.hash.slice(1)));
      if (section && section.getBoundingClientRect().top < 0.4 * window.innerHeight) now = a;
    });
    entries.forEach(function (a) {
      a.classList.toggle("active", a === now);
      if (a === now) a.setAttribute("aria-current", "location"); else a.removeAttribute("aria-current");
    });
  }, true);

  // --- the way back: each entry of the browser's history knows where its reader came from

  var before = history.state; // Sphinx, which takes marks of a search off the address, empties it
  var pending = null, FROM = "lcn-from", BACK = "lcn-back";
  function remember(part) {
    history.replaceState(Object.assign({}, history.state, part), "");
  }
  function stored(key, value) { // a browser may refuse
    try {
      if (value === undefined) {
        var found = sessionStorage.getItem(key);
        sessionStorage.removeItem(key);
        return found && JSON.parse(found);
      }
      sessionStorage.setItem(key, JSON.stringify(value));
    } catch (e) { /* then there is no button */ }
    return null;
  }
  function links() { return Array.from(document.querySelectorAll("main a:not(.lcn-card a)")); }

  function leave(link, goal) {
    var place = target(goal), index = links().indexOf(link);
    if (!place || index < 0 || !linkAt(link) || place.url.href === location.href) return;
    var section = link.closest("section:has(> :is(h1, h2, h3, h4))"), heading = section && section.querySelector("h1, h2, h3, h4");
    var words = heading ? heading.textContent.replace(/#$/, "").trim() : document.title.split(" — ")[0];
    remember({ at: { link: index, top: link.getBoundingClientRect().top } });
    var from = { from: words };
    if (place.url.pathname === location.pathname) pending = from;
    else stored(FROM, { to: place.url.href, state: from });
  }

  var pill = null;
  function offer() {
    if (pill) pill.remove();
    pill = null;
    var from = history.state && history.state.from;
    if (!from) return;
    pill = document.createElement("span");
    pill.className = "lcn-back";
    var back = document.createElement("button"), hide = document.createElement("button");
    back.type = hide.type = "button";
    back.textContent = "Back to " + from;
    hide.textContent = "\u00d7";
    hide.setAttribute("aria-label", "Stay here");
    back.onclick = function () { stored(BACK, true); history.back(); };
    hide.onclick = function () { remember({ from: null }); offer(); };
    pill.append(back, hide);
    // First in the place where the reader is, so that it is the next stop of the Tab key.
    var here = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    (here || document.querySelector("main")).prepend(pill);
  }
  function comeBack() {
    var at = history.state && history.state.at;
    if (!stored(BACK) || !at) return;
    var link = links()[at.link];
    if (!link) return;
    link.focus({ preventScroll: true });
    window.scrollBy(0, link.getBoundingClientRect().top - at.top);
  }
  window.addEventListener("hashchange", function () {
    if (pending) remember(pending);
    pending = null;
    offer();
  });
  window.addEventListener("popstate", function () {
    if (pending) return; // a link was followed
    offer();
    comeBack();
  });
  window.addEventListener("pageshow", function (event) {
    if (!event.persisted && before) remember(before);
    var come = stored(FROM);
    if (come && come.to === location.href) remember(come.state);
    offer();
    var formulas = !event.persisted && window.MathJax && window.MathJax.startup;
    Promise.resolve(formulas && formulas.promise).then(comeBack);
  });
})();
