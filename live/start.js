// Tells the reader of a live chapter how the start of Python goes, runs the chapter as soon as it can, and
// says the way out if it fails.  A classic script, first in the page: it works when nothing else does.
(function () {
  "use strict";
  var PATIENCE = 120; // seconds in which nothing is heard; the longest step took 62 on a very busy machine
  var began = Date.now(), heard = began, step = null, waiting = false;
  var box = null, shown = "", trouble = "", done = false;
  var me = "book-" + Math.random().toString(36).slice(2);

  // Python starts now, beside JupyterLite; who asks for the kernel's worker gets this one (python.mjs).
  // The worker's name is how it knows the page that its messages are for.
  var Plain = window.Worker, PYTHON = new URL("static/pyodide/python.mjs", document.currentScript.src);
  var early = python();
  function python() {
    try {
      return new Plain(PYTHON, { type: "module", name: me });
    } catch (error) {
      return null; // a page that is a file; told below
    }
  }
  window.Worker = function (address, options) {
    if (!options || options.type !== "module") return new Plain(address, options);
    var worker = early || python();
    early = null; // a kernel that is started again gets a new one
    worker.postMessage({ kernel: String(address) });
    return worker;
  };
  window.Worker.prototype = Plain.prototype;
  if (window.BroadcastChannel) {
    new BroadcastChannel("book-python").onmessage = function (event) {
      heard = Date.now(); // another chapter that gets on is a sign of life too
      if (event.data.to !== me) return;
      waiting = !!event.data.waiting;
      if (event.data.words) step = event.data.words;
      if (event.data.failed) trouble = event.data.failed;
      look();
    };
  }

  function show(state, text, command) {
    if (!document.body || shown === text) return;
    shown = text;
    if (!box) {
      box = document.createElement("div");
      box.id = "start";
      box.style.cssText = "position:fixed;z-index:100000;left:50%;bottom:1rem;transform:translateX(-50%);" +
        "box-sizing:border-box;width:max-content;max-width:min(44rem, calc(100vw - 2rem));padding:.8rem 1.2rem;" +
        "border-radius:6px;border:2px solid;background:#fff;color:#1b1b1b;" +
        "font:16px/1.5 system-ui,sans-serif;box-shadow:0 2px 12px #0004";
      document.body.appendChild(box);
    }
    box.dataset.state = state;
    box.setAttribute("role", state === "failed" ? "alert" : "status");
    box.style.borderColor = state === "failed" ? "#c62828" : "#0b57c4";
    box.textContent = text;
    if (command) {
      var code = document.createElement("code");
      code.textContent = command;
      box.append(" ", code);
    }
  }

  function fail(what) {
    show("failed", what + " You can read the chapter on its page in the book, or run it on your own " +
      "machine: in a copy of the book's repository type", "make lab");
  }

  function end() {
    clearInterval(timer);
    if (box) box.remove();
  }

  // The kernel answers when the worker has imported what every chapter imports, or has told what failed.
  function answers() {
    var shell = window.jupyterapp && window.jupyterapp.shell;
    var context = shell && shell.currentWidget && shell.currentWidget.sessionContext;
    var k = context && context.session && context.session.kernel;
    return k && k.connectionStatus === "connected" && /^(idle|busy)$/.test(k.status);
  }

  // The chapter runs by itself; its end is there for who waits for it.  The command would go to the last cell,
  // now or on a busy machine later; the reader stays where he is.
  function run() {
    var book = window.jupyterapp.shell.currentWidget.content, cell = book.activeCellIndex;
    book.scrollToItem = function () { return Promise.resolve(); };
    function free() { delete book.scrollToItem; }
    window.bookRan = window.jupyterapp.commands.execute("notebook:run-all-cells");
    book.activeCellIndex = cell;
    window.bookRan.then(free, free);
  }

  function look() {
    if (done) return;
    if (!trouble && answers()) {
      done = true;
      end();
      run();
      return;
    }
    var seconds = (Date.now() - began) / 1000, silence = (Date.now() - heard) / 1000;
    if (trouble) fail("Python did not start in this browser: " + trouble + ".");
    else if (location.protocol === "file:") fail("Python in the browser needs a web server, and this page is a file.");
    else if (typeof WebAssembly !== "object") fail("Python did not start: this browser has no WebAssembly.");
    else if (silence > PATIENCE) {
      fail("Python has not started, and nothing has come for " + PATIENCE + " seconds. On a slow line it may still come; if it does not:");
    } else if (waiting) show("waiting", "Another chapter is starting Python. This one waits for it, and then starts by itself.");
    else if (step) show("starting", "Python is starting: " + step + ". The chapter then runs by itself.");
    else if (seconds > 2) show("starting", "Python is starting. The first visit loads about 50 MB.");
  }

  // A script of the page itself that does not come.
  window.addEventListener("error", function (event) {
    var source = event.target && event.target.tagName === "SCRIPT" && event.target.src;
    if (source) trouble = "a file is missing, " + source.split("?")[0];
  }, true);

  var timer = setInterval(look, 100);
})();
