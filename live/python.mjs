// Starts Python for a chapter: what JupyterLite's worker loads in the place of Pyodide (jupyter-lite.json).
// Packages come in the order in which a chapter imports them, each step is told to the page (start.js),
// and of several chapters that are opened at once one starts at a time: the next finds the files in the
// browser's cache, and the first one all of the processor.
const LOCK = "book-python", channel = new BroadcastChannel(LOCK);
const tell = step => channel.postMessage({ to: self.name, ...step });
const ORDER = [["numpy", "NumPy"], ["scipy", "SciPy"], ["matplotlib", "Matplotlib"]];
// The kernel only asks for it by name; without it, it completes names too, and starts a second sooner.
const SPARED = new Set(["jedi"]);

async function start(options) {
  const { packages = [], ...rest } = options;
  tell({ words: "Python itself" });
  const { loadPyodide: load } = await import("./pyodide.mjs");
  const python = await load(rest);
  const quiet = { messageCallback: () => {} };
  // Python comes up without what did not come, and the page says what is lacking.
  const told = error => tell({ failed: `the book's packages did not load (${error})` });
  const add = names => python.loadPackage(names, { ...quiet, errorCallback: told }).catch(told);
  for (const [name, words] of ORDER) {
    tell({ words });
    await add(name);
  }
  tell({ words: "the library of this book" });
  await add(packages.filter(name => !SPARED.has(name)));
  tell({ words: "its last step" });
  return python;
}

export async function loadPyodide(options) {
  try {
    if (!navigator.locks) return await start(options); // an address without https
    const first = await navigator.locks.request(LOCK, { ifAvailable: true }, lock => lock && start(options));
    if (first) return first;
    tell({ waiting: true });
    return await navigator.locks.request(LOCK, () => start(options));
  } catch (error) {
    tell({ failed: String(error?.message ?? error) });
    throw error;
  }
}
