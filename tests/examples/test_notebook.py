"""The notebook runs from top to bottom, on a study that it makes itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]


# The kernel's libraries close their sockets late and warn of it; none of that is ours.
@pytest.mark.filterwarnings("ignore")
def test_every_cell_of_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(tmp_path / "examples/pareto.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output.output_type == "error"]
    assert "32 plans were simulated" in str(shown)
    assert "image/png" in str(shown)


def test_the_notebook_is_committed_without_output() -> None:
    notebook = nbformat.read(ROOT / "examples/pareto.ipynb", as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")]
