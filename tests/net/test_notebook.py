"""The notebook of docs/, run from its first cell to its last, with a smaller sweep."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.usefixtures("backend")

WHOLE, FEW = "runs=3", "split='stage3', accuracy_frames=5, delivery=False"
NOTEBOOK = Path(__file__).parents[2] / "docs/splitbed.ipynb"


def test_the_notebook_runs_and_shows_a_table_and_a_picture(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    sweep = next(cell for cell in notebook.cells if "splitbed.sweep(" in cell.source)
    sweep.source = sweep.source.replace(WHOLE, f"{WHOLE}, {FEW}")
    assert FEW in sweep.source
    kernel = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=kernel).execute()
    shown = [
        output.get("data", {})
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert "device anchor" in shown[0]["text/html"]
    assert "stage3" in shown[1]["text/html"]
    assert shown[-1]["image/png"]
