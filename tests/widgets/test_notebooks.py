"""The notebooks run as they are, without a browser, and are stored without outputs."""

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path):
    book = nbformat.read(path, as_version=4)

    nbformat.validate(book)
    assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")


@pytest.mark.model
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_headless_to_its_end(path, tmp_path):
    book = nbformat.read(path, as_version=4)

    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    shown = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert all(output.output_type != "error" for output in shown)
    pictures = [output.data["image/svg+xml"] for output in shown if "image/svg+xml" in output.get("data", {})]
    assert len(pictures) == 2  # the live dashboard at its start, the trace at its end
    assert " tokens, length] " in "".join(output.get("text", "") for output in shown)
