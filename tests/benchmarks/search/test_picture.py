from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.search.picture import write_picture


def record(curve: list[list[float]], seconds: float) -> dict[str, Any]:
    return {"cell": {"seconds": seconds}, "evaluations": int(curve[-1][0]), "curve": curve}


def test_a_picture_is_the_same_each_time_and_follows_the_curves(tmp_path: Path) -> None:
    mobo = [record([[1, 2.0, 0.1], [40, 9.0, top]], 10.0) for top in (0.2, 0.3, 0.4)]
    searches = {"mobo": mobo, "single-gpu": [record([[1, 1.0, 0.05]], 10.0)]}
    one, two, other = (tmp_path / f"{name}.png" for name in ("one", "two", "other"))
    write_picture("large", searches, one)
    write_picture("large", searches, two)
    write_picture("large", searches | {"mobo": mobo[:1]}, other)
    assert one.read_bytes().startswith(b"\x89PNG")
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes() != other.read_bytes()


def test_a_search_without_a_trial_is_drawn_at_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none.png"
    empty = {"cell": {"seconds": 10.0}, "evaluations": 0, "curve": []}
    write_picture("none", {"mobo": [empty]}, path)
    assert path.exists()
