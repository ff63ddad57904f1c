"""The notebooks of the documentation run from top to bottom, and their objects show themselves."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 240  # Of a cell, on a busy machine; a whole notebook takes less than 60 on a core.
# What is downloaded would fail: nothing listens there.
NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")


def read(path: Path) -> Any:
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install 'seqzoo[dev]'")
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that executes a notebook of that name, once, in an empty folder."""
    done: dict[str, Any] = {}

    def execute(path: Path) -> Any:
        if path.name not in done:
            done[path.name] = run(read(path), tmp_path_factory.mktemp(path.stem))
        return done[path.name]

    return execute


def run(notebook: Any, folder: Path) -> Any:
    """Execute a notebook in a kernel of this environment; a cell that fails is shown."""
    pytest.importorskip("ipykernel", reason="needs ipykernel: pip install 'seqzoo[dev]'")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install 'seqzoo[dev]'")
    client = nbclient.NotebookClient(
        notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}
    )
    try:
        client.execute(env={**os.environ, **NO_NETWORK})
    except nbclient.exceptions.CellExecutionError as error:
        pytest.fail(re.sub(r"\x1b\[[\d;]*m", "", str(error)), pytrace=False)
    return notebook


def html_of(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(output.get("data", {}).get("text/html", "") for output in outputs)


def test_there_are_three() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {"own-data", "fine-tune-and-explain", "generate"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, executed: Any) -> None:
    executed(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    for cell in read(path).cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_links_of_a_notebook_lead_to_pages(path: Path) -> None:
    texts = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    links = re.findall(r"\]\(([^)#]+)", "\n".join(texts))
    assert links
    assert [link for link in links if not (FOLDER / link).exists()] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("own-data", [">test accuracy</th>", ">precision</th>"]),
        ("fine-tune-and-explain", [">imdb-bilstm</td>", ">wonderful</span>"]),
        ("generate", [">island-lstm</td>", ">validation loss</th>", "bits a character</div>"]),
    ],
)
def test_objects_show_themselves(name: str, shown: list[str], executed: Any) -> None:
    html = html_of(executed(FOLDER / f"{name}.ipynb"))
    assert [text for text in shown if text not in html] == []


def test_a_cell_that_fails_is_shown_with_its_source(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    cell = nbformat.v4.new_code_cell("answer = 42\nanswer / 0")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)answer / 0.*ZeroDivisionError"):
        run(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
