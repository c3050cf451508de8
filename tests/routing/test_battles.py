from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from boute.errors import DataError, InputError
from boute.routing.battles import Battles, fit_battles, read_battles
from boute.routing.router import Router
from boute.routing.training import Recipe

HEAD = "prompt,model_a,model_b,winner"


def battles(rows: int = 600, hard: float = 0.9, easy: float = 0.5) -> Battles:
    """The big model wins with these chances, on hard and on easy queries."""
    rng = np.random.default_rng(0)
    kinds = rng.random(rows) < 0.5
    won = (rng.random(rows) >= np.where(kinds, hard, easy)).astype(float)
    text = tuple(f"{'integral' if kind else 'simple'} {i}" for i, kind in enumerate(kinds))
    flipped = rng.random(rows) < 0.5
    return Battles(
        ("small", "big"),
        text,
        first=flipped.astype(np.int64),
        second=1 - flipped.astype(np.int64),
        won=np.where(flipped, 1 - won, won),
    )


def test_strengths_depend_on_the_query() -> None:
    router = fit_battles(battles())
    hard, easy = router.score(["integral 3", "simple 3"])
    assert hard > easy + 0.05
    quality = router.predict(["integral 3"]).quality[0]
    assert quality[1] > 0.5 > quality[0]


def test_who_came_first_makes_no_difference() -> None:
    plain = battles()
    turned = Battles(plain.models, plain.text, plain.second, plain.first, 1 - plain.won)
    texts = ["integral", "simple"]
    assert fit_battles(turned).score(texts) == pytest.approx(fit_battles(plain).score(texts))


def test_it_is_saved_like_any_other(tmp_path: Path) -> None:
    router = fit_battles(battles(100))
    digest = router.save(tmp_path)
    loaded = Router.load(tmp_path, expected_hash=digest)
    assert loaded.score(["integral"]).tolist() == router.score(["integral"]).tolist()


def test_kinds_that_take_no_battles() -> None:
    with pytest.raises(InputError, match="boosted takes no battles"):
        fit_battles(battles(50), Recipe("boosted"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[list[str]], Path]:
    def make(rows: list[str]) -> Path:
        path = tmp_path / "battles.csv"
        path.write_text("\n".join([HEAD, *rows]) + "\n")
        return path

    return make


def test_models_are_ordered_by_wins(write: Callable[[list[str]], Path]) -> None:
    read = read_battles(write(["hi,x,y,model_a", "ho,y,x,tie", "he,y,x,model_b"] * 10))
    assert read is not None
    assert read.models == ("y", "x")
    assert read.won.tolist() == [1.0, 0.5, 0.0] * 10
    only = read_battles(write(["hi,x,y,model_a", "ho,y,z,tie"] * 20), models=["x", "y"])
    assert only is not None
    assert len(only) == 20


def test_another_layout_is_none(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("query,a\nhi,1\n")
    assert read_battles(path) is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["hi,x,y,model_a"] * 5, "has 5 battles between two of the models"),
        (["hi,x,y,model_a"] * 30 + ["hi,x,y,x"], "csv:32: winner: should be model_a, model_b"),
        (["hi,x,y,model_a"] * 30 + ["hi,x,x,tie"], "csv:32: model_b: a model is set against"),
    ],
)
def test_battles_that_cannot_be_fitted(
    write: Callable[[list[str]], Path], rows: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_battles(write(rows))


def test_a_model_without_battles(write: Callable[[list[str]], Path]) -> None:
    with pytest.raises(DataError, match="has no battle of z"):
        read_battles(write(["hi,x,y,model_a"] * 30), models=["x", "y", "z"])
