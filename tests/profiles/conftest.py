"""Cards of the person who runs the tests are kept out of them."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the user's cards."""
    folder = tmp_path / "cards"
    monkeypatch.setenv("BOUTE_CARDS", str(folder))
    return folder
