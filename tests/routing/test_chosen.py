from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from boute.errors import DataError, InputError
from boute.routing.chosen import chosen_router, evidence_of, judged_rows, remember_judged
from boute.routing.policies.evidence import Evidence
from boute.routing.table import QualityTable
from boute.routing.training import Recipe, fit_router, held_out_scores
from boute.spec.quality import Quality, RouterChoice

Make = Callable[..., QualityTable]


@pytest.mark.parametrize("kind", ["lexical", "neighbours"])
def test_what_is_judged_is_of_the_kind_that_is_served(
    text_table: Make, tmp_path: Path, kind: Any
) -> None:
    table, choice = text_table(), RouterChoice(kind=kind)
    rows, score = judged_rows(table, choice, tmp_path, seed=3)
    assert rows is table
    assert score.tobytes() == held_out_scores(table, [0, 1], 3, Recipe(kind)).tobytes()
    assert chosen_router(table, choice, tmp_path).kind == kind


def test_a_trained_router_is_judged_on_what_it_has_not_seen(
    text_table: Make, tmp_path: Path
) -> None:
    table = text_table(rows=120)
    trained = fit_router(table.take(range(60)), [0, 1])
    digest = trained.save(tmp_path / "mine")
    choice = RouterChoice(folder="mine")
    rows, score = judged_rows(table, choice, tmp_path, seed=0)
    assert rows.text == (table.text or ())[60:]
    assert score.tobytes() == trained.score(rows.text or ()).tobytes()
    assert chosen_router(table, choice, tmp_path).save(tmp_path / "copy") == digest
    with pytest.raises(DataError, match="was trained on all but 0 rows"):
        judged_rows(table.take(range(60)), choice, tmp_path, seed=0)


@pytest.mark.parametrize("kind", ["lexical", "neighbours"])
def test_a_router_fitted_before_on_the_same_rows_is_taken(
    text_table: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    table, choice = text_table(), RouterChoice(kind=kind)
    digest = chosen_router(table, choice, tmp_path).save(tmp_path / "before")
    monkeypatch.setattr("boute.routing.chosen.fit_router", None)
    taken = chosen_router(table, choice, tmp_path, tmp_path / "before")
    assert taken.save(tmp_path / "again") == digest


def test_a_router_fitted_before_on_something_else_is_fitted_again(
    text_table: Make, tmp_path: Path
) -> None:
    table, choice = text_table(), RouterChoice(kind="lexical")
    before = tmp_path / "before"
    digest = chosen_router(table, choice, tmp_path).save(before)
    others = {
        "rows": (table.take(range(len(table) - 1)), choice),
        "lengths": (replace(table, output_tokens=2.0 * table.output_tokens), choice),
        "models": (replace(table, models=("a", "b")), choice),
        "kind": (table, RouterChoice(kind="neighbours")),
    }
    for name, (other, asked) in others.items():
        again = chosen_router(other, asked, tmp_path, before)
        assert again.save(tmp_path / name) != digest
    (before / "arrays.npz").write_bytes(b"damaged")
    for folder in (before, tmp_path / "none"):
        assert chosen_router(table, choice, tmp_path, folder).save(tmp_path / "new") == digest


@pytest.mark.parametrize("policy", ["thresholds", "utility"])
def test_what_rows_were_judged_by_is_not_worked_out_again(
    text_table: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: Any
) -> None:
    table, choice = text_table(), RouterChoice(kind="lexical")
    quality = Quality(table="q.csv", router=choice, policy=policy)
    _, score = judged_rows(table, choice, tmp_path, 3)
    evidence = evidence_of(table, score, quality, tmp_path, 3)
    remember_judged(tmp_path / "before", table, evidence, choice, tmp_path, 3)
    other_seed = judged_rows(table, choice, tmp_path, 4, tmp_path / "before")[1]
    assert other_seed.tobytes() == held_out_scores(table, [0, 1], 4).tobytes()
    for name in ("held_out_scores", "held_out_predictions"):
        monkeypatch.setattr(f"boute.routing.chosen.{name}", None)
    _, again = judged_rows(table, choice, tmp_path, 3, tmp_path / "before")
    assert again.tobytes() == score.tobytes()
    found = evidence_of(table, again, quality, tmp_path, 3, tmp_path / "before")
    for name in ("quality", "output_tokens"):
        asked, got = getattr(evidence, name), getattr(found, name)
        assert (asked is None) == (got is None) == (policy == "thresholds")
        assert asked is None or asked.tobytes() == got.tobytes()


def test_nothing_is_kept_of_a_router_that_was_given(text_table: Make, tmp_path: Path) -> None:
    evidence = Evidence(np.zeros(5))
    choice = RouterChoice(folder="mine")
    remember_judged(tmp_path / "out", text_table(), evidence, choice, tmp_path, 3)
    assert not (tmp_path / "out").exists()


def test_routers_that_do_not_fit(text_table: Make, tmp_path: Path) -> None:
    table = text_table(rows=60)
    fit_router(table, [0, 1]).save(tmp_path / "mine")
    choice = RouterChoice(folder="mine")
    other = replace(table, models=("big", "small"))
    with pytest.raises(DataError, match="routes between small, big, and the spec between big"):
        judged_rows(other, choice, tmp_path, seed=0)
    given = replace(table, text=None, score=np.zeros(60))
    with pytest.raises(DataError, match="needs texts"):
        chosen_router(given, choice, tmp_path)
    with pytest.raises(InputError, match="the kind embedding needs a model"):
        judged_rows(table, RouterChoice(kind="embedding"), tmp_path, seed=0)
    with pytest.raises(ValidationError, match="give either"):
        RouterChoice(kind="boosted", folder="mine")
