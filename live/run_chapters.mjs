// Every cell of every notebook under Pyodide in Node, each notebook in a fresh namespace.
//     node run_chapters.mjs PYODIDE_FOLDER CHAPTER.ipynb...
// Says which cell fails; a cell that prints something else than what is saved in it is named, too.
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
const text = x => (Array.isArray(x) ? x.join("") : x);
const seconds = since => ((Date.now() - since) / 1000).toFixed(1) + " s";

async function run(cell, globals) {
  written.stdout = written.stderr = "";
  await python.loadPackagesFromImports(text(cell.source), quiet);
  await python.runPythonAsync(text(cell.source), { globals, filename: "<cell>" });
  if (written.stderr) return "writes to stderr: " + written.stderr;
  const saved = cell.outputs.filter(o => o.output_type === "stream").map(o => text(o.text)).join("");
  if (cell.outputs.length && saved && saved !== written.stdout) {
    return `prints\n${written.stdout}instead of\n${saved}`;
  }
}

let failed = 0;
for (const file of process.argv.slice(3)) {
  const start = Date.now();
  const globals = python.toPy({ __name__: "__main__" });
  const cells = JSON.parse(fs.readFileSync(file)).cells;
  const problems = [];
  for (const [number, cell] of cells.entries()) {
    if (cell.cell_type !== "code") continue;
    try {
      const problem = await run(cell, globals);
      if (problem) problems.push(`cell ${number} ${problem}`);
    } catch (error) {
      problems.push(`cell ${number} fails\n${text(cell.source)}\n${error.message}`);
      break; // the cells after it would fail for lack of its names
    }
  }
  python.runPython("import sys; 'matplotlib' in sys.modules and sys.modules['matplotlib.pyplot'].close('all')");
  globals.destroy();
  failed += problems.length > 0;
  console.log(`${problems.length ? "FAILED" : "ok"} ${path.basename(file)} (${seconds(start)})`);
  for (const problem of problems) console.log("  " + problem.trimEnd().replaceAll("\n", "\n  "));
}
process.exit(failed ? 1 : 0);
