"""A fitted router: plain arrays, and functions of numpy that turn queries into scores.

Fitting is in `boute.routing.training`; nothing here needs scikit-learn, so the request path can
load and apply a router. Saving and loading are in `boute.routing.store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from boute.routing.encoders.encoder import Encoded, Encoder, Queries, Takes
from boute.routing.heads.linear import Linear, weighted_sums
from boute.routing.prediction import Prediction
from boute.routing.spread import Spread
from boute.workload.arrays import Floats

__all__ = ["KINDS", "QUERY_HEADERS", "Heads", "Kind", "Router"]

Kind = Literal["lexical", "boosted", "neighbours", "factorisation", "embedding"]
KINDS: Final[tuple[Kind, ...]] = (
    "lexical",
    "boosted",
    "neighbours",
    "factorisation",
    "embedding",
)

QUERY_HEADERS: Final[Mapping[Takes, str]] = {
    "given": "x-boute-score",
    "features": "x-boute-features",
}
"""Where a served router finds what it scores, if that is not the text of the request."""

# No answer is expected to be longer than this, in tokens, whatever a line says far out.
_MOST_TOKENS: Final = 1e6


class Heads(Protocol):
    """What learns rates in [0, 1] from an encoded query; the last rate is the gain."""

    @property
    def rates(self) -> int:
        """How many rates: one a model, and the gain."""

    def all_rates(self, encoded: Encoded) -> Floats:
        """Every rate [N, R]."""

    def gain(self, encoded: Encoded) -> Floats:
        """The last rate [N]."""

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What is saved of it."""

    def check(self, figures: int, rates: int, *, grams: bool) -> None:
        """Raise ValueError unless it is of these sizes."""


@dataclass(frozen=True, eq=False)
class Router:
    """Turns queries into scores in [0, 1], higher for harder, and into predictions.

    `models` [K] are in the cost order that it was fitted for, cheapest first. `heads` give K
    qualities and the gain of routing, which is the score: how much better the best of the dearer
    models is expected to answer than the cheapest. A given score stays what it is. `lengths` are
    lines for the logarithm of the output tokens, and `spread` says how far answers are from both.
    `data_hash` is the SHA-256 of the table that it was fitted on.
    """

    kind: Kind
    models: tuple[str, ...]
    encoder: Encoder
    heads: Heads
    lengths: Linear
    spread: Spread
    data_hash: str

    def __post_init__(self) -> None:
        count = len(self.models)
        grams = self.encoder.kind == "lexical"
        self.heads.check(self.encoder.figures, count + 1, grams=grams)
        self.lengths.check(self.encoder.figures, count, grams=grams)
        self.spread.check(count)

    @property
    def takes(self) -> Takes:
        """What queries are: texts, features [N, F], or scores [N]."""
        return self.encoder.takes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The figures that it looks at: the given ones, or those of a text's shape."""
        return self.encoder.names

    def score(self, queries: Queries) -> Floats:
        """Scores [N] of N texts, of features [N, F], or of given scores [N]."""
        return self.score_encoded(self.encoder.encode(queries))

    def predict(self, queries: Queries) -> Prediction:
        """Quality and output length of every model on N queries."""
        return self.predict_encoded(self.encoder.encode(queries))

    def score_encoded(self, encoded: Encoded) -> Floats:
        """Scores [N] of what is encoded already."""
        return encoded.dense[:, 0] if self.takes == "given" else self.heads.gain(encoded)

    def predict_encoded(self, encoded: Encoded) -> Prediction:
        """The prediction for what is encoded already."""
        quality = self.heads.all_rates(encoded)[:, :-1]
        line = weighted_sums(encoded, self.lengths.weights) + self.lengths.intercepts
        typical = np.exp(line.clip(0.0, np.log(_MOST_TOKENS)))
        return self.spread.around(quality, typical)

    def save(self, folder: Path) -> str:
        """Write into a folder, the same bytes each time; return the SHA-256 of its router.json."""
        from boute.routing.store import save_router

        return save_router(self, folder)

    @staticmethod
    def load(folder: Path, *, expected_hash: str | None = None) -> Router:
        """Read a folder; raise DataError when it is damaged, of another version or another router.

        `expected_hash` is the SHA-256 that a plan recorded.
        """
        from boute.routing.store import load_router

        return load_router(folder, expected_hash=expected_hash)
