"""Notebooks from their one source, solutions/labNN_topic.py (jupytext's percent format).

    python tools/make_notebooks.py             write notebooks/*.ipynb: the learner's, solutions blanked, no outputs
    python tools/make_notebooks.py --execute   also execute what is stale of solutions/*.ipynb, in this environment
    python tools/make_notebooks.py --check     write nothing; say what is stale, and exit with 1 if anything is

The same source gives the same bytes, whenever and wherever: cells have ids made from their text, metadata is sorted. An
executed notebook carries a stamp: the hash of its source, the commit, the date, labkit's version. Not a runner of labs:
nothing is executed in notebooks/ or in my-labs/.
"""

import argparse
import ast
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURE = "image/svg+xml"
CHECKED = "nbval-check-output"  # cells with this tag print the same on every machine; nbval compares them
MOST_BYTES = 400_000
BLANK = "raise NotImplementedError"


class BadSource(Exception):
    """A lab's source can't become a notebook; the text says where and why."""


def sources(root: Path = ROOT) -> list[Path]:
    """The authored labs, in order."""
    return sorted((root / "solutions").glob("lab*.py"))


def source_hash(source: Path) -> str:
    """sha256 of the source's text, line ends normalised."""
    return hashlib.sha256(source.read_text(encoding="utf-8").encode()).hexdigest()


def solution_notebook(source: Path) -> nbformat.NotebookNode:
    """The whole lab with its solutions, not executed."""
    text = source.read_text(encoding="utf-8")
    parsed = jupytext.reads(text[text.index("# %%") :], fmt="py:percent")  # what stands above is for other tools
    cells, seen = [], {}
    for cell in parsed.cells:
        key = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[key] = seen.get(key, 0) + 1
        new = nbformat.v4.new_markdown_cell if cell.cell_type == "markdown" else nbformat.v4.new_code_cell
        tags = sorted(cell.metadata.get("tags", []))
        metadata = {"tags": tags} if tags else {}
        cells.append(new(cell.source, id=f"{key}-{seen[key]}", metadata=metadata))
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    metadata["labkit"] = {"source": f"solutions/{source.name}", "source_sha256": source_hash(source)}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def learner_notebook(source: Path) -> nbformat.NotebookNode:
    """The same cells with solutions blanked; tags that only tests need are left out."""
    notebook = solution_notebook(source)
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag != CHECKED]
        cell.metadata.update({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.source = blank(cell.source, source)
    return notebook


def blank(code: str, source: Path) -> str:
    """`code` with each BEGIN SOLUTION ... END SOLUTION replaced by one line that raises NotImplementedError."""
    lines, inside = [], None
    for line in code.splitlines():
        marker = re.fullmatch(r"(\s*)# (BEGIN|END) SOLUTION\s*", line)
        if not marker:
            if inside is None:
                lines.append(line)
            continue
        if (marker[2] == "BEGIN") != (inside is None) or (inside is not None and marker[1] != inside):
            raise BadSource(f"{source.name}: '{line.strip()}' has no partner at its own indentation in:\n{code}")
        if marker[2] == "BEGIN":
            inside = marker[1]
            lines.append(inside + BLANK)
        else:
            inside = None
    if inside is not None:
        raise BadSource(f"{source.name}: a BEGIN SOLUTION is never ended in:\n{code}")
    blanked = "\n".join(lines)
    if BLANK in blanked:
        _only_in_functions(blanked, source)
    return blanked


def _only_in_functions(code: str, source: Path) -> None:
    """A blank outside of a function would stop an untouched notebook."""
    tree = ast.parse(code)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    if any(isinstance(node, ast.Raise) and id(node) not in inside for node in ast.walk(tree)):
        raise BadSource(f"{source.name}: a solution stands outside of a function in:\n{code}")


def to_bytes(notebook: nbformat.NotebookNode) -> bytes:
    """The file's bytes: keys sorted, one space of indentation, one line end at the end."""
    nbformat.validate(notebook)
    return (nbformat.writes(notebook, version=4).rstrip("\n") + "\n").encode()


def without_outputs(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy as it was before it was executed: no outputs, no counts, no stamp beyond the source's."""
    bare = nbformat.from_dict(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    stamp = bare.metadata.get("labkit", {})
    bare.metadata["labkit"] = {key: stamp.get(key, "") for key in ("source", "source_sha256")}
    return bare


def stale(root: Path = ROOT) -> list[str]:
    """A sentence for each notebook that does not fit its source."""
    found, names = [], {source.stem for source in sources(root)}
    for source in sources(root):
        found += [*_stale_learner(source, root), *_stale_solution(source, root)]
    for folder in ("notebooks", "solutions"):
        strays = (path for path in sorted((root / folder).glob("*.ipynb")) if path.stem not in names)
        found += [f"{folder}/{path.name} has no source solutions/{path.stem}.py." for path in strays]
    return found


def _stale_learner(source: Path, root: Path) -> list[str]:
    path = root / "notebooks" / f"{source.stem}.ipynb"
    if not path.exists():
        return [f"notebooks/{path.name} is missing."]
    same = path.read_bytes().replace(b"\r\n", b"\n") == to_bytes(learner_notebook(source))
    return [] if same else [f"notebooks/{path.name} is not what {source.name} gives."]


def _stale_solution(source: Path, root: Path) -> list[str]:
    path = root / "solutions" / f"{source.stem}.ipynb"
    if not path.exists():
        return [f"solutions/{path.name} is missing."]
    notebook = nbformat.read(path, as_version=4)
    if notebook.metadata.get("labkit", {}).get("source_sha256") != source_hash(source):
        return [f"solutions/{path.name} was executed from another version of {source.name}."]
    if to_bytes(without_outputs(notebook)) != to_bytes(solution_notebook(source)):
        return [f"solutions/{path.name}: its cells are not those of {source.name}."]
    return [f"solutions/{path.name}: {fault}" for fault in faults(notebook)]


def faults(notebook: nbformat.NotebookNode) -> list[str]:
    """What no executed notebook may hold: a gap in its run, an error, noise, paths of a machine, too many bytes."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = []
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not every cell was executed, once, from the top.")
    for cell in code:
        head = cell.source.splitlines()[0] if cell.source else ""
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"the cell `{head}` stopped with {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"the cell `{head}` wrote to stderr: {output.text[:200]!r}")
    text = nbformat.writes(notebook)
    if re.search(r"/(home|root|Users|tmp|work|private)/[\w.]", text) or str(ROOT) in text:
        found.append("a path of the machine that executed it is in an output.")
    if len(text) > MOST_BYTES:
        found.append(f"{len(text):,} bytes are more than the {MOST_BYTES:,} allowed.")
    return found


def execute(source: Path, first: str = "", last: str = "") -> nbformat.NotebookNode:
    """Run a lab with its solutions, in this environment's kernel, with a home folder of its own; add the stamp.

    `first` and `last`: code that runs before and after its cells, and leaves no trace in the notebook.
    """
    from nbclient import NotebookClient

    notebook = solution_notebook(source)
    with tempfile.TemporaryDirectory(prefix="labkit-") as folder:
        environment = own_environment(Path(folder))
        resources = {"metadata": {"path": str(source.parent)}}
        client = NotebookClient(notebook, timeout=3600, kernel_name="python3", resources=resources, record_timing=False)
        with client.setup_kernel(env=environment):
            _aside(client, first)
            for place, cell in enumerate(notebook.cells):
                client.execute_cell(cell, place)
            _aside(client, last)
    clean(notebook)
    notebook.metadata["labkit"].update(_stamp())
    return notebook


def _aside(client, code: str) -> None:
    """Run code in the kernel of a notebook, which stays as it is."""
    cells = client.nb.cells
    cells.append(nbformat.v4.new_code_cell(code))
    client.execute_cell(cells[-1], len(cells) - 1, store_history=False)
    cells.pop()


def own_environment(folder: Path) -> dict[str, str]:
    """A kernel's environment: progress and runs are kept in `folder`, the models are those fetched already."""
    from labkit.home import home

    models, linked = home() / "models", folder / "models"
    models.mkdir(exist_ok=True)
    linked.symlink_to(models.resolve(), target_is_directory=True)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, whatever else the user has installed
    return {**os.environ, "LABKIT_HOME": str(folder), "PYTHONHASHSEED": "0"}


def clean(notebook: nbformat.NotebookNode) -> None:
    """Drop from an executed notebook what nobody reads: progress bars, live widgets, the kernel's version."""
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = _joined([output for output in cell.outputs if not _is_progress(output)])
        for output in cell.outputs:
            data = output.get("data", {})
            data.pop(WIDGET, None)
            if PICTURE in data:  # GitHub would prefer the HTML, and drop the picture within it
                data.pop("text/html", None)


def _joined(outputs: list) -> list:
    """Printed text in one piece: in how many pieces it came is up to chance."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _is_progress(output) -> bool:
    """A tqdm bar: a widget that has nothing but itself to show, or a line that was drawn over itself on stderr."""
    if output.output_type == "stream":
        return output.name == "stderr" and ("\r" in output.text or "it/s]" in output.text)
    data = output.get("data", {})
    return WIDGET in data and "text/html" not in data


def _stamp() -> dict[str, str]:
    import labkit

    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "commit": git.stdout.strip() or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
        "labkit": labkit.__version__,
        "profile": os.environ.get("LABKIT_PROFILE") or "full",
    }


def write(root: Path = ROOT) -> list[Path]:
    """Write the learner's notebooks that are stale or missing; return their paths."""
    written = []
    for source in sources(root):
        if _stale_learner(source, root):
            path = root / "notebooks" / f"{source.stem}.ipynb"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(to_bytes(learner_notebook(source)))
            written.append(path)
    return written


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Notebooks from solutions/*.py.")
    parser.add_argument("labs", nargs="*", help="with --execute: only these, like lab00; executed even if fresh")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a notebook is stale")
    parser.add_argument("--execute", action="store_true", help="execute the solutions that are stale")
    options = parser.parse_args(arguments)
    try:
        if not options.check:
            for path in write():
                print(f"wrote notebooks/{path.name}")
        if options.execute:
            _execute_all(options.labs)
        left = stale()
    except BadSource as error:
        print(error, file=sys.stderr)
        return 1
    for sentence in left:
        print(sentence, file=sys.stderr)
    if left and not options.execute:
        print("To mend it: make notebooks", file=sys.stderr)
    return 1 if left and (options.check or options.execute) else 0


def _execute_all(labs: list[str]) -> None:
    for source in sources():
        wanted = any(source.stem.startswith(lab) for lab in labs) if labs else _stale_solution(source, ROOT)
        if not wanted:
            continue
        print(f"executing {source.name} ...", flush=True)
        path = ROOT / "solutions" / f"{source.stem}.ipynb"
        path.write_bytes(to_bytes(execute(source)))
        print(f"wrote solutions/{path.name}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
