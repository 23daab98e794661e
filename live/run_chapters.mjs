// Every cell of every notebook under Pyodide in Node, each notebook in a fresh namespace; then every
// control of its widgets is moved.
//     node run_chapters.mjs PYODIDE_FOLDER CHAPTER.ipynb...
// Says which cell fails, and then exits with 1.  A cell that prints other numbers than are saved in it
// is only named: NumPy, SciPy and Pillow have other versions there.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const folder = path.resolve(process.argv[2]) + path.sep;
const { loadPyodide } = await import(pathToFileURL(folder + "pyodide.mjs"));
const written = { stdout: "", stderr: "" };
const python = await loadPyodide({
  indexURL: folder,
  packageBaseUrl: folder,
  env: { HOME: "/home/pyodide", MPLBACKEND: "agg" },
  stdout: line => { written.stdout += line + "\n"; },
  stderr: line => { written.stderr += line + "\n"; },
});
// There is no screen: to show a figure is to do nothing, without a word.
python.runPython("import warnings; warnings.filterwarnings('ignore', 'FigureCanvasAgg is non-interactive')");
const quiet = { messageCallback: () => {} };
await python.loadPackage("lcnlib", quiet);
python.FS.writeFile("move_widgets.py", fs.readFileSync(new URL("move_widgets.py", import.meta.url)));
python.runPython("import lcnlib.display, move_widgets");
const processTime = () => Object.values(process.cpuUsage()).reduce((a, b) => a + b) / 1e6;
const text = x => (Array.isArray(x) ? x.join("") : x);
const seconds = since => ((Date.now() - since) / 1000).toFixed(1) + " s";

async function run(cell, globals) {
  written.stdout = written.stderr = "";
  await python.loadPackagesFromImports(text(cell.source), quiet);
  await python.runPythonAsync(text(cell.source), { globals, filename: "<cell>" });
  if (written.stderr) throw new Error("it writes to stderr: " + written.stderr);
  const saved = cell.outputs.filter(o => o.output_type === "stream").map(o => text(o.text)).join("");
  return saved && saved !== written.stdout ? `prints\n${written.stdout}instead of\n${saved}` : "";
}

function move() {
  python.globals.set("clock", processTime);
  return python.runPython(`"\\n".join(move_widgets.move(made, clock))`);
}

let failed = 0;
for (const file of process.argv.slice(3)) {
  const start = Date.now();
  python.runPython("made = []; lcnlib.display.explore = move_widgets.recorder(made)");
  const globals = python.toPy({ __name__: "__main__" });
  const cells = JSON.parse(fs.readFileSync(file)).cells;
  const notes = [];
  let bad = false;
  for (const [number, cell] of cells.entries()) {
    if (cell.cell_type !== "code") continue;
    try {
      const note = await run(cell, globals);
      if (note) notes.push(`cell ${number} ${note}`);
    } catch (error) {
      bad = true;
      notes.push(`cell ${number} fails\n${text(cell.source)}\n${error.message}`);
      break; // the cells after it would fail for lack of its names
    }
  }
  try {
    if (!bad) notes.push(move());
  } catch (error) {
    bad = true;
    notes.push(`a widget fails\n${error.message}`);
  }
  python.runPython("import matplotlib.pyplot; matplotlib.pyplot.close('all')");
  globals.destroy();
  failed += bad;
  console.log(`${bad ? "FAILED" : "ok"} ${path.basename(file)} (${seconds(start)})`);
  for (const note of notes) console.log("  " + note.trimEnd().replaceAll("\n", "\n  "));
}
process.exit(failed ? 1 : 0);
