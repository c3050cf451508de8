"""Shared by the workload tests: the folder of real traces, when it is there."""

from pathlib import Path

import pytest


@pytest.fixture
def azure_folder() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "azure2023"
    if not folder.is_dir():
        pytest.skip("the real traces are not here")
    return folder
