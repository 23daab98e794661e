// The worker of a live chapter.  The page starts it at once (start.js): Python comes up beside JupyterLite, not
// after it.  JupyterLite then gets this worker in the place of one with its kernel, and what it loads in the
// place of Pyodide is this file again (jupyter-lite.json).
// Each step is told to the page, and of several chapters that are opened at once one starts at a time: the
// next finds the files in the browser's cache, and the first one all of the processor.
const LOCK = "book-python", channel = new BroadcastChannel(LOCK);
const tell = step => channel.postMessage({ to: self.name, ...step });
// What every chapter imports, in the order of its use; then the kernel, which would take twice as long in
// the reader's folder, where Python asks the page at each import whether a module lies there.
const MODULES = {
  "NumPy": "numpy",
  "SciPy": "scipy.integrate",
  "Matplotlib": "matplotlib.pyplot",
  "the library of this book": "lcnlib.display",
  "the notebook's kernel": "piplite.piplite, pyodide_kernel",
};
// What the kernel would choose, but it comes after Matplotlib.
const env = { HOME: "/home/pyodide", MPLBACKEND: "module://matplotlib_inline.backend_inline" };
const output = {}; // where Python's words go: the kernel says it

// Python comes up without what did not come, and the page says what is lacking.
const told = error => tell({ failed: `the book's packages did not load (${error})` });

// The content of packages.bin (tools/live.py): the length of an index, the index {path: size}, the files.
async function packages() {
  const answer = await fetch(new URL("packages.bin", import.meta.url));
  if (!answer.ok) throw new Error(`${answer.status} for ${answer.url}`);
  const length = answer.headers.get("content-encoding") ? null : answer.headers.get("content-length");
  const all = length ? `of ${(length / 1e6).toFixed()} MB` : "MB";
  let bytes = 0;
  const counted = new TransformStream({
    transform(chunk, to) {
      bytes += chunk.length;
      tell({ words: `${(bytes / 1e6).toFixed()} ${all} of its packages` });
      to.enqueue(chunk);
    },
  });
  const plain = answer.body.pipeThrough(counted).pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

function write(FS, folder, data) {
  let end = 4 + new DataView(data.buffer).getUint32(0, true);
  const index = JSON.parse(new TextDecoder().decode(data.subarray(4, end))), made = new Set();
  for (const [name, size] of Object.entries(index)) {
    const path = `${folder}/${name}`, place = path.slice(0, path.lastIndexOf("/"));
    if (!made.has(place)) FS.mkdirTree(place);
    made.add(place);
    FS.writeFile(path, data.subarray(end, end += size), { canOwn: true });
  }
}

async function start() {
  tell({ words: "Python itself" });
  const files = packages();
  const { loadPyodide: load } = await import("./pyodide.mjs");
  const python = await load({
    indexURL: new URL(".", import.meta.url).href,
    env,
    fsInit: (FS, { sitePackages }) => files.then(data => write(FS, sitePackages, data)).catch(told),
    stdout: line => output.stdout?.(line),
    stderr: line => output.stderr?.(line),
  });
  for (const [words, module] of Object.entries(MODULES)) {
    tell({ words });
    await python.runPythonAsync(`import ${module}`).catch(told);
  }
  return python;
}

async function first() {
  if (!navigator.locks) return await start(); // an address without https
  const python = await navigator.locks.request(LOCK, { ifAvailable: true }, lock => lock && start());
  if (python) return python;
  tell({ waiting: true });
  return await navigator.locks.request(LOCK, start);
}

const started = first();
started.catch(error => tell({ failed: String(error?.message ?? error) }));

export async function loadPyodide(options) {
  Object.assign(output, options);
  const python = await started;
  tell({ words: "its last step" });
  return python;
}

// The page says where the kernel is, and JupyterLite talks to it before it is there.
self.addEventListener("message", async ({ data }) => {
  const early = [];
  const keep = event => {
    event.stopImmediatePropagation();
    early.push(event);
  };
  self.addEventListener("message", keep);
  await import(data.kernel);
  self.removeEventListener("message", keep);
  for (const { data, ports } of early) self.dispatchEvent(new MessageEvent("message", { data, ports: [...ports] }));
}, { once: true });
