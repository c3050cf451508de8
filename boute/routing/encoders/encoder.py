"""A fitted encoder: queries in, arrays out, with numpy only.

Figures are standardised as they were where the router was fitted. A lexical encoder keeps the
hashed n-grams sparse; the others give dense arrays alone: topics of the n-grams, or the vectors of
an embedding model, beside the shape of the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from boute.routing.encoders.embedding import EmbeddingModel
from boute.routing.features import BUCKETS, SHAPE_NAMES, Grams, encode_text
from boute.workload.arrays import Floats, Ints

__all__ = ["Encoded", "Encoder", "EncoderKind", "Queries", "Takes", "Vectors"]

EncoderKind = Literal["lexical", "topics", "embedding", "features", "given"]
Takes = Literal["text", "features", "given"]
Queries = Sequence[str] | Floats
Vectors = NDArray[np.float32]

# In standard deviations: a query unlike any that was fitted on is not judged by one figure alone.
FURTHEST: Final = 4.0


@dataclass(frozen=True, eq=False)
class Encoded:
    """N queries as arrays: figures [N, F], and the hashed n-grams of each text if they are kept."""

    dense: Floats
    grams: tuple[Grams, ...] | None = None

    def __len__(self) -> int:
        return len(self.dense)

    def take(self, rows: Ints) -> Encoded:
        """Some of the queries, in this order."""
        grams = self.grams
        kept = None if grams is None else tuple(grams[row] for row in rows.tolist())
        return Encoded(self.dense[rows], kept)


@dataclass(frozen=True, eq=False)
class Encoder:
    """How queries become arrays.

    `names` are the figures that are standardised by `mean` and `scale`: the shape of a text, the
    given features, or the one given score, which is moved to [0, 1] instead. `projection`
    [BUCKETS, T] takes n-grams to topics; `model` embeds texts. Both only where the kind has them.
    """

    kind: EncoderKind
    names: tuple[str, ...]
    mean: Floats
    scale: Floats
    projection: Vectors | None = None
    model: EmbeddingModel | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        if self.mean.shape != (count,) or self.scale.shape != (count,):
            raise ValueError("mean and scale have an entry a figure")
        if not np.isfinite([self.mean, self.scale]).all() or (self.scale <= 0).any():
            raise ValueError("means are finite and scales positive")
        if self.takes == "text" and self.names != SHAPE_NAMES:
            raise ValueError("the shape figures of a text are others now")
        if self.kind == "given" and count != 1:
            raise ValueError("a score is one number")
        if (self.projection is not None) != (self.kind == "topics"):
            raise ValueError("topics have a projection")
        if self.projection is not None and self.projection.shape[0] != BUCKETS:
            raise ValueError("a projection has a row a bucket")
        if (self.model is not None) != (self.kind == "embedding"):
            raise ValueError("embeddings have a model")

    @property
    def takes(self) -> Takes:
        """What queries are: texts, features [N, F], or scores [N]."""
        if self.kind in ("features", "given"):
            return "features" if self.kind == "features" else "given"
        return "text"

    @property
    def figures(self) -> int:
        """F, the columns of `Encoded.dense`."""
        extra = 0 if self.projection is None else self.projection.shape[1]
        return len(self.names) + extra + (0 if self.model is None else self.model.width)

    def encode(self, queries: Queries) -> Encoded:
        """N texts, features [N, F] or scores [N] as arrays."""
        if self.takes != "text":
            given = np.asarray(queries, dtype=np.float64).reshape(-1, len(self.names))
            return Encoded(self._standardised(given))
        texts = [str(query) for query in queries]
        return self.encode_parts(texts, [encode_text(text) for text in texts])

    def encode_parts(self, texts: Sequence[str], parts: Sequence[tuple[Grams, Floats]]) -> Encoded:
        """N texts whose n-grams and figures are known, as `encode` does them."""
        shape = np.array([figures for _, figures in parts]).reshape(-1, len(self.names))
        dense = self._standardised(shape)
        grams = tuple(gram for gram, _ in parts)
        if self.projection is not None:
            return Encoded(np.concatenate([dense, _topics(grams, self.projection)], axis=1))
        if self.model is not None:
            return Encoded(np.concatenate([dense, self.model.embed(texts)], axis=1))
        return Encoded(dense, grams)

    def standardised(self, encoded: Encoded) -> Floats:
        """The figures that are standardised [N, F]; a given score is none."""
        return encoded.dense[:, : 0 if self.kind == "given" else len(self.names)]

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What is saved of it."""
        found: dict[str, NDArray[np.generic]] = {"mean": self.mean, "scale": self.scale}
        return found if self.projection is None else found | {"projection": self.projection}

    def _standardised(self, figures: Floats) -> Floats:
        moved = (figures - self.mean) / self.scale
        low = 0.0 if self.kind == "given" else -FURTHEST
        return np.asarray(moved.clip(low, 1.0 if self.kind == "given" else FURTHEST))


def _topics(grams: Sequence[Grams], projection: Vectors) -> Floats:
    """The n-grams [N] in the space of the topics [N, T]."""
    rows = [weights @ projection[buckets] for buckets, weights in grams]
    return np.array(rows, dtype=np.float64).reshape(len(grams), projection.shape[1])
