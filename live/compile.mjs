// Wheels with byte code in the place of the sources, which the browser would compile anew at every visit.
//     node compile.mjs PYODIDE_FOLDER OUT WHEEL...
// The names of the wheels are those of files in PYODIDE_FOLDER; OUT gets files of the same names.
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, out, ...wheels] = process.argv.slice(2);
const home = path.resolve(folder) + path.sep;
const { loadPyodide } = await import(pathToFileURL(home + "pyodide.mjs"));
const python = await loadPyodide({ indexURL: home });
for (const [place, real] of [["/from", home], ["/to", path.resolve(out)]]) {
  python.FS.mkdirTree(place);
  python.mountNodeFS(place, real);
}
python.globals.set("wheels", python.toPy(wheels));
python.runPython(`
import warnings
from importlib.util import MAGIC_NUMBER
from marshal import dumps
from sysconfig import get_path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

warnings.simplefilter("ignore")  # of the compiler, about other people's code

HEADER = MAGIC_NUMBER + bytes(12)  # what stands before byte code that has no source


def compiled(name, data):
    """The name and the content of a file of a wheel as the browser gets it."""
    if not name.endswith(".py") or ".data/" in name:
        return name, data
    try:
        code = compile(data, get_path("purelib") + "/" + name, "exec", dont_inherit=True)
    except SyntaxError:  # a template, or for another Python
        return name, data
    return name + "c", HEADER + dumps(code)


for wheel in wheels:
    with ZipFile("/from/" + wheel) as old, ZipFile("/to/" + wheel, "w", ZIP_DEFLATED) as new:
        for info in old.infolist():
            name, data = compiled(info.filename, old.read(info))
            new.writestr(ZipInfo(name), data, ZIP_DEFLATED)
`);
