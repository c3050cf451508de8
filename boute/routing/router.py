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
from boute.routing.evaluation.recalibrate import calibrated
from boute.routing.heads.linear import Linear, weighted_sums
from boute.routing.prediction import Prediction
from boute.routing.reference import Reference
from boute.routing.spread import Spread, reach_of
from boute.workload.arrays import Floats

__all__ = ["KINDS", "QUERY_HEADERS", "Heads", "Kind", "Router", "score_of", "typical_lengths"]

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
    """What learns the quality of each model's answer from an encoded query."""

    def quality(self, encoded: Encoded) -> Floats:
        """Expected quality [N, K] in [0, 1]."""

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What is saved of it."""

    def check(self, figures: int, models: int, *, grams: bool) -> None:
        """Raise ValueError unless it is of these sizes."""


@dataclass(frozen=True, eq=False)
class Router:
    """Turns queries into scores in [0, 1], higher for harder, and into predictions.

    `models` [K] are in the cost order that it was fitted for, cheapest first. `heads` give the
    expected quality of each. The score is what routing is expected to gain: how much better the
    dearer models answer in the mean than the cheapest, from -1 to 1, moved to [0, 1]. A given
    score stays what it is. `lengths` are lines for the logarithm of the output tokens, and
    `spread` says how far answers are from both. `calibration` [K, 2] has a slope and a level on
    the logit of each model's quality, for predictions only: it never moves a score. `reference`
    and `data_hash`, the SHA-256 of the table, say what it was fitted on.
    """

    kind: Kind
    models: tuple[str, ...]
    encoder: Encoder
    heads: Heads
    lengths: Linear
    spread: Spread
    calibration: Floats
    reference: Reference
    data_hash: str

    def __post_init__(self) -> None:
        count = len(self.models)
        grams = self.encoder.kind == "lexical"
        self.heads.check(self.encoder.figures, count, grams=grams)
        self.lengths.check(self.encoder.figures, count, grams=grams)
        self.spread.check(count)
        self.reference.check()
        if self.calibration.shape != (count, 2) or (self.calibration[:, 0] <= 0).any():
            raise ValueError("a calibration has a rising line a model")

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
        if self.takes == "given":
            return encoded.dense[:, 0]
        return score_of(self.heads.quality(encoded))

    def predict_encoded(self, encoded: Encoded) -> Prediction:
        """The prediction for what is encoded already."""
        quality = calibrated(self.heads.quality(encoded), self.calibration)
        line = weighted_sums(encoded, self.lengths.weights) + self.lengths.intercepts
        return self.spread.around(quality, typical_lengths(line), self.reach(encoded))

    def reach(self, encoded: Encoded) -> Floats:
        """How much wider than others the interval of each query's lengths is [N]."""
        return reach_of(self.encoder.standardised(encoded))

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


def typical_lengths(log_tokens: Floats) -> Floats:
    """Tokens of a line for their logarithm, within what an answer can have."""
    return np.asarray(np.exp(log_tokens.clip(0.0, np.log(_MOST_TOKENS))))


def score_of(quality: Floats) -> Floats:
    """Scores [N] of expected qualities [N, K] in cost order; a half where there is one model."""
    if quality.shape[1] == 1:
        return np.full(len(quality), 0.5)
    # Summed model by model: a query scores the same alone and in a batch.
    dearer = sum(quality[:, 1:].T) / (quality.shape[1] - 1)
    return np.asarray(((1.0 + dearer - quality[:, 0]) / 2.0).clip(0.0, 1.0))
