"""The notebooks run as they are, without a browser, and are stored without outputs."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PICTURES = {
    "01_watch_paged_attention": 2,  # the live dashboard at its start, the trace at its end
    "02_memory_pressure": 4,  # a live dashboard for each memory
    "03_time_travel": 6,  # two live ones, the second run at its end, three views of the first
}
SAID = {
    "01_watch_paged_attention": (" tokens, length] ",),
    "02_memory_pressure": (
        "r2 was preempted: ",
        "was evicted by lru: ",
        "r2 was preempted by swap: ",
        "SwappedIn: ",
        "r4 began with 72 tokens",
        "0 of 89 prompt tokens were in memory. ",
        "the same texts in 1, 2 and 3: True",
        "the same texts with and without the prefix cache: True",
        "KeepsFound   found ",
    ),
    "03_time_travel": (
        "  block 11: held as ((0, 4),)",
        "stopped: BlockEvicted in step ",
        ", which will cause BlockCopied (breakpoint 2)",
        "stopped: BlockShared in step ",
        "of its text",
        "lru took block ",
        ", which was right",
        "run.pvtrace",
        "the last that leaves blocks in use",
    ),
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path):
    import nbformat  # here: it takes seconds, and only this file needs it

    book = nbformat.read(path, as_version=4)

    nbformat.validate(book)
    assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")


@pytest.mark.model
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_headless_to_its_end(path, tmp_path):
    import nbclient
    import nbformat

    book = nbformat.read(path, as_version=4)

    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    shown = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert all(output.output_type != "error" for output in shown)
    pictures = [output.data["text/plain"] for output in shown if "image/svg+xml" in output.get("data", {})]
    assert not [told for told in pictures if ", step 0: " in told], "pictures of runs that had not begun"
    text = "".join(output.get("text", "") for output in shown)
    assert (len(pictures), [line for line in SAID[path.stem] if line not in text]) == (PICTURES[path.stem], [])
