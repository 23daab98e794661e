// Search: statements, figures, exercises, words and functions come before the pages, by their
// numbers and names.  ext/reading.py writes the list of them.
/* global Search */
(function () {
  "use strict";
  var root = document.documentElement.dataset.content_root || "./", SHOWN = 10;
  var KINDS = { word: 60, statement: 50, section: 40, function: 0, exercise: 10, equation: 10, figure: 0 };

  // British and American spelling, plurals, accents: one form for all.
  function plain(text) {
    return text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "")
      .replace(/<[^>]*>/g, "").replace(/\\[()[\]]/g, "")
      .replace(/[^\p{Letter}\p{Number}.]+/gu, " ").replace(/\.(?!\d)/g, " ")
      .split(" ").filter(Boolean).map(function (word) {
        return (word in SHORT ? SHORT[word] : word).replace(/is(e|ed|es|ing|ation|ations)$/, "iz$1")
          .replace(/our$/, "or").replace(/(..)ies$/, "$1y").replace(/([^s])s$/, "$1");
      }).filter(Boolean).join(" ");
  }

  var SMALL = " a an and do doe for how i in it of on the to what when where which why with ";
  var SHORT = { thm: "theorem", prop: "proposition", def: "definition", cor: "corollary", lem: "lemma",
                ex: "exercise", eq: "equation", fig: "figure", chapter: "" };

  // How well an entry answers; 0 for not at all.
  function score(entry, asked) {
    var name = plain(entry[1]), title = plain(entry[2]), whole = " " + name + " " + title + " ";
    var kind = KINDS[entry[0]], words = asked.split(" ");
    var large = words.filter(function (w) { return !SMALL.includes(" " + w + " "); });
    function has(text) {
      return (large.length ? large : words).every(function (w) { return text.includes(" " + w); });
    }
    if (name === asked || title === asked) return 1000 + kind;
    if (name && asked.startsWith(name + " ")) return 900 + kind; // more than the number
    if ((" " + title + " ").includes(" " + asked + " "))
      return 600 + kind + 200 * asked.length / title.length + (title.startsWith(asked) ? 20 : 0)
        + (/^\d+$/.test(name) ? 40 : 0); // a whole chapter
    if ((" " + name + " ").includes(" " + asked + " ")) return 500 + kind;
    var body = " " + (entry.plain = entry.plain || plain(entry[3])) + " ", number = /\d/.test(asked);
    if (!number && has(whole)) return 400 + kind + 100 * asked.length / whole.length;
    var times = body.split(" " + asked + (number ? " " : "")).length - 1;
    if (times) return 200 + kind + 10 * times;
    return !number && has(whole + body) ? 100 + kind : 0;
  }

  function item(entry, titles) {
    var row = document.createElement("li"), link = document.createElement("a");
    var where = document.createElement("span"), words = document.createElement("span");
    link.href = root + entry[4] + ".html#" + entry[5];
    words.innerHTML = entry[0] === "function" ? "" : entry[2];
    var mark = entry[0] === "section" ? ". " : ": ";
    link.append(entry[1] && entry[1] + (words.textContent ? mark : ""), words);
    where.className = "lcn-answer-where";
    if (link.textContent !== titles[entry[4]]) where.append("in " + titles[entry[4]]);
    if (entry[6]) { // where the book begins to link the word
      var first = document.createElement("a");
      first.href = root + entry[6] + ".html#" + entry[7];
      first.textContent = entry[8];
      where.append(", used in ", first);
    }
    row.append(link, " ", where);
    return row;
  }

  window.lcnAnswers = function (entries, titles) {
    var asked = plain(new URLSearchParams(location.search).get("q") || "");
    var out = document.getElementById("search-results");
    if (!asked || !out) return;
    var found = entries.map(function (entry) { return [score(entry, asked), entry]; })
      .filter(function (f) { return f[0]; })
      .sort(function (a, b) { return b[0] - a[0]; });
    // A title that several pages have, once.
    var seen = new Set();
    found = found.filter(function (f) {
      var key = f[1][0] + plain(f[1][1].replace(/^[\d.]+$/, "") + " " + f[1][2]);
      return !seen.has(key) && seen.add(key);
    }).slice(0, SHOWN);
    if (!found.length) return;
    var box = document.createElement("section"), head = document.createElement("h2");
    var list = document.createElement("ul");
    box.className = "lcn-answers";
    head.textContent = "Statements, sections, words, exercises, figures";
    found.forEach(function (f) { list.append(item(f[1], titles)); });
    box.append(head, list);
    out.before(box);
    show(list.querySelector("a"), list);
  };

  // The first answer itself; and formulas in the titles.
  async function show(link, list) {
    var answer = await window.lcnReading.contents(link);
    if (answer) {
      var box = document.createElement("div");
      box.className = "lcn-answer";
      box.append.apply(box, answer.nodes);
      link.parentElement.append(box);
    }
    await window.lcnReading.typeset(list);
  }

  document.addEventListener("DOMContentLoaded", function () {
    // Sphinx fails to show a place without words, and to read pages of a book in a folder.
    var summary = Search.makeSearchSummary;
    Search.makeSearchSummary = function () {
      return summary.apply(Search, arguments) || document.createElement("p");
    };
    if (location.protocol === "file:") window.fetch = function () { return new Promise(function () {}); };
    var list = document.createElement("script");
    list.src = root + "_static/answers.js";
    document.head.append(list);
  });
})();
