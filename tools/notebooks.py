"""Keep the notebooks in git executed, but free of pictures, widget state and noise.

    python tools/notebooks.py run FILE...     execute in place (kernel in the file's folder), clean
    python tools/notebooks.py clean FILE...   clean what is there
    python tools/notebooks.py check FILE...   say what is wrong; exit code 1 if anything is

Printed text stays and strict nbval compares it.  The output of a cell that shows a picture or a
widget is dropped and the cell gets the tag ``nbval-ignore-output`` (it still must run), so such a
cell may not print.
"""

import hashlib
import os
import sys
from pathlib import Path

import nbformat

TAG = "nbval-ignore-output"
WIDGET = "application/vnd.jupyter.widget-view+json"
KEPT_METADATA = ("mystnb", "tags")


def is_picture(output):
    data = output.get("data", {})
    return any(mime.startswith("image/") or mime == WIDGET or mime == "text/html" for mime in data)


def problems(nb):
    """Yield what must not be committed and cannot be mended here."""
    for i, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        if not cell.outputs and cell.source.strip() and cell.execution_count is None:
            yield f"cell {i} has not been executed"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {i} ended in an error: {output.ename}: {output.evalue}"
            if output.output_type == "stream" and output.name == "stderr":
                yield f"cell {i} wrote a warning: {output.text.strip()[:200]}"
        pictures = [is_picture(output) for output in cell.outputs]
        if any(pictures) and not all(pictures):
            yield f"cell {i} prints and shows a picture: make it two cells"
        if TAG in cell.metadata.get("tags", []):
            if "print(" in cell.source:
                yield f"cell {i} prints but is not compared (tag {TAG})"
            if cell.outputs and not all(pictures):
                yield f"cell {i} has output that is not compared (tag {TAG})"


def cleaned(nb, executed=False):
    """A copy of `nb` as it should be committed."""
    nb = nbformat.from_dict(nb.copy())
    nb.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nb.nbformat, nb.nbformat_minor = 4, 5
    seen = {}
    number = 0
    for cell in nb.cells:
        cell.source = cell.source.rstrip()
        key = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[key] = seen.get(key, 0) + 1
        cell.id = key if seen[key] == 1 else f"{key}-{seen[key]}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in KEPT_METADATA}
        cell.pop("attachments", None)
        if cell.cell_type != "code":
            continue
        number += cell.execution_count is not None
        cell.execution_count = number if cell.execution_count is not None else None
        pictures = any(is_picture(output) for output in cell.outputs)
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != TAG]
        if pictures or (not executed and not cell.outputs and TAG in cell.metadata.get("tags", [])):
            tags.append(TAG)
        cell.metadata.pop("tags", None)
        if tags:
            cell.metadata["tags"] = tags
        cell.outputs = merged([] if pictures else cell.outputs)
        for output in cell.outputs:
            output.pop("execution_count", None)
            if output.output_type == "execute_result":
                output["execution_count"] = cell.execution_count
                output.metadata = {}
    return nbformat.from_dict(nb)


def merged(outputs):
    """Join neighbouring pieces of one stream: where they break is chance."""
    result = []
    for output in outputs:
        last = result[-1] if result else None
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            result.append(output)
    return result


def execute(nb, folder):
    from nbclient import NotebookClient

    os.environ.pop("LCN_BOOK_STATIC", None)
    NotebookClient(nb, timeout=120, kernel_name="python3",
                   resources={"metadata": {"path": str(folder)}}).execute()


def check(path):
    """List what is wrong with the notebook file."""
    text = path.read_text(encoding="utf-8")
    nb = nbformat.reads(text, as_version=4)
    found = list(problems(nb))
    if nbformat.writes(cleaned(nb)).rstrip() != text.rstrip():
        found.append("is not clean: run `python tools/notebooks.py run` on it")
    return found


def main(command, *files):
    failed = False
    for path in map(Path, files):
        if command == "check":
            found = check(path)
        else:
            nb = nbformat.read(path, as_version=4)
            if command == "run":
                execute(nb, path.resolve().parent)
            found = list(problems(cleaned(nb, executed=command == "run")))
            found += [p for p in problems(nb) if "picture" in p]
            nbformat.write(cleaned(nb, executed=command == "run"), path)
        for problem in found:
            failed = True
            print(f"{path}: {problem}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("run", "clean", "check"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
