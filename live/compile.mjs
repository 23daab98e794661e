// Wheels, and Python's own library, with byte code in the place of the sources, which the browser would
// compile anew at every visit.
//     node compile.mjs PYODIDE_FOLDER OUT FILE...
// The names are those of files in PYODIDE_FOLDER; OUT gets files of the same names.
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, out, ...names] = process.argv.slice(2);
const home = path.resolve(folder) + path.sep;
const { loadPyodide } = await import(pathToFileURL(home + "pyodide.mjs"));
const python = await loadPyodide({ indexURL: home });
for (const [place, real] of [["/from", home], ["/to", path.resolve(out)]]) {
  python.FS.mkdirTree(place);
  python.mountNodeFS(place, real);
}
python.globals.set("names", python.toPy(names));
python.runPython(`
import sys
import warnings
from importlib.util import MAGIC_NUMBER
from marshal import dumps
from sysconfig import get_path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

warnings.simplefilter("ignore")  # of the compiler, about other people's code

HEADER = MAGIC_NUMBER + bytes(12)  # what stands before byte code that has no source
STDLIB = next(path for path in sys.path if path.endswith(".zip"))


def compiled(home, name, data):
    """The name and the content of a file in an archive as the browser gets it."""
    if not name.endswith(".py") or ".data/" in name:
        return name, data
    try:
        code = compile(data, home + "/" + name, "exec", dont_inherit=True)
    except SyntaxError:  # a template, or for another Python
        return name, data
    return name + "c", HEADER + dumps(code)


for archive in names:
    home = get_path("purelib") if archive.endswith(".whl") else STDLIB
    with ZipFile("/from/" + archive) as old, ZipFile("/to/" + archive, "w", ZIP_DEFLATED) as new:
        for info in old.infolist():
            name, data = compiled(home, info.filename, old.read(info))
            new.writestr(ZipInfo(name), data, ZIP_DEFLATED)
`);
