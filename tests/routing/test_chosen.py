from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from boute.errors import DataError, InputError
from boute.routing.chosen import chosen_router, judged_rows
from boute.routing.table import QualityTable
from boute.routing.training import Recipe, fit_router, held_out_scores
from boute.spec.model import RouterChoice

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
