from collections.abc import Callable

import numpy as np
import pytest

from boute.routing.table import QualityTable


@pytest.fixture
def text_table() -> Callable[..., QualityTable]:
    """Makes a table in which the word `integral` decides what the small model cannot answer."""

    def make(rows: int = 200, seed: int = 0, repeats: int = 1) -> QualityTable:
        rng = np.random.default_rng(seed)
        hard = rng.random(rows) < 0.4
        words = ["sum", "cat", "list", "tree", "road", "seven"]
        text = [
            f"{'integral' if h else 'simple'} {' '.join(rng.choice(words, 5))} {i}"
            for i, h in enumerate(hard)
        ]
        small = np.where(hard, rng.random(rows) < 0.1, rng.random(rows) < 0.9)
        quality = np.stack([small, np.ones(rows)], axis=1).astype(np.float64)
        return QualityTable(
            name="made",
            models=("small", "big"),
            quality=np.tile(quality, (repeats, 1)),
            output_tokens=np.ones((rows * repeats, 2)),
            text=tuple(text) * repeats,
        )

    return make
