from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from boute.routing.policies.evidence import Evidence
from boute.routing.remembered import FILE, recall, remember

SCORES = Evidence(np.linspace(0.0, 1.0, 5))
ALL = Evidence(SCORES.score, np.full((5, 3), 0.5), np.full((5, 3), 20.0))


@pytest.mark.parametrize("evidence", [SCORES, ALL])
def test_what_is_remembered_is_recalled_to_the_last_bit(tmp_path: Path, evidence: Evidence) -> None:
    remember(tmp_path, "a key", evidence)
    written = (tmp_path / FILE).read_bytes()
    found = recall(tmp_path, "a key", 3)
    assert found is not None
    for name in ("score", "quality", "output_tokens"):
        asked, got = getattr(evidence, name), getattr(found, name)
        assert (asked is None) == (got is None)
        assert asked is None or asked.tobytes() == got.tobytes()
    remember(tmp_path, "a key", found)
    assert (tmp_path / FILE).read_bytes() == written


def test_what_is_of_something_else_is_as_none(tmp_path: Path) -> None:
    assert recall(None, "a key", 3) is None
    assert recall(tmp_path, "a key", 3) is None
    remember(tmp_path, "a key", ALL)
    assert recall(tmp_path, "another key", 3) is None
    assert recall(tmp_path, "a key", 2) is None


def packed(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(values) for name, values in arrays.items()})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        packed(score=[0.5])[:-30],
        packed(score=[0.5]),
        packed(key="a key"),
        packed(key="a key", score=[0.5, np.nan]),
        packed(key="a key", score=[1, 0]),
        packed(key="a key", score=0.5),
        packed(key="a key", score=[[0.5]]),
        packed(key="a key", score=["0.5"]),
        packed(key="a key", score=np.array([None], dtype=object)),
        packed(key="a key", score=[0.5], quality=[[0.5, 0.5, 0.5]] * 2),
    ],
)
def test_a_damaged_file_is_as_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    assert recall(tmp_path, "a key", 3) is None
