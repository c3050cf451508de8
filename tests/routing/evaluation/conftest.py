from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from boute.routing.router import Router
from boute.routing.table import QualityTable
from boute.routing.training import fit_router

WORDS = ["sum", "cat", "list", "tree", "road", "seven", "lamp", "door", "milk", "stone"]


def made_table(rows: int, seed: int) -> QualityTable:
    """Three models, two tasks, and a word that decides what the first cannot answer."""
    rng = np.random.default_rng(seed)
    hard = rng.random(rows) < 0.4
    texts = tuple(
        f"{'integral' if h else 'simple'} {' '.join(rng.choice(WORDS, 9))} {chr(97 + i % 26)}{i}"
        for i, h in enumerate(hard)
    )
    right = np.stack([np.where(hard, 0.15, 0.9), np.where(hard, 0.6, 0.92), np.full(rows, 0.95)])
    tokens = np.exp(rng.normal(np.array([[3.0], [3.5], [4.0]]) + hard, 0.3))
    return QualityTable(
        name="made",
        models=("small", "medium", "big"),
        quality=(rng.random((rows, 3)) < right.T).astype(np.float64),
        output_tokens=np.maximum(tokens.T, 1.0),
        text=texts,
        task=tuple("maths" if h else "chat" for h in rng.random(rows) < 0.5),
    )


@pytest.fixture(scope="session")
def fitted_on() -> QualityTable:
    return made_table(300, seed=0)


@pytest.fixture(scope="session")
def router(fitted_on: QualityTable) -> Router:
    return fit_router(fitted_on, [0, 1, 2])


@pytest.fixture
def table() -> Callable[..., QualityTable]:
    """Makes tables of the same kind, with other rows and with parts replaced."""

    def make(rows: int = 400, seed: int = 1, **changes: object) -> QualityTable:
        return replace(made_table(rows, seed), **changes)  # type: ignore[arg-type]

    return make
