"""Fitting an encoder on the queries of a table, which labels do not enter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from boute.routing.encoders.embedding import EmbeddingModel
from boute.routing.encoders.encoder import Encoded, Encoder, EncoderKind, Queries, Vectors
from boute.routing.features import BUCKETS, SHAPE_NAMES, Grams, encode_text
from boute.routing.table import QualityTable
from boute.workload.arrays import Floats

__all__ = ["fit_encoder"]

TOPICS: Final = 64
_POWER_STEPS: Final = 3


def fit_encoder(
    table: QualityTable, kind: EncoderKind, model: EmbeddingModel | None, seed: int
) -> tuple[Encoder, Encoded]:
    """An encoder for the table's queries, and those encoded.

    `kind` is what texts are to become, with a `model` for embeddings; features and given scores
    stay what they are.
    """
    if table.score is not None:
        low, reach = table.score.min(keepdims=True), np.ptp(table.score, keepdims=True)
        return _with(Encoder("given", ("score",), low, _positive(reach)), table.score)
    if table.features is not None:
        mean, scale = table.features.mean(axis=0), table.features.std(axis=0)
        encoder = Encoder("features", table.feature_names, mean, _positive(scale))
        return _with(encoder, table.features)
    texts = table.text or ()
    parts = [encode_text(text) for text in texts]
    shape = np.array([figures for _, figures in parts])
    mean, scale = shape.mean(axis=0), _positive(shape.std(axis=0))
    grams = [each for each, _ in parts]
    projection = _projection(grams, seed) if kind == "topics" else None
    encoder = Encoder(kind, SHAPE_NAMES, mean, scale, projection, model)
    return encoder, encoder.encode_parts(texts, parts)


def _with(encoder: Encoder, queries: Queries) -> tuple[Encoder, Encoded]:
    return encoder, encoder.encode(queries)


def _positive(scale: Floats) -> Floats:
    return np.where(scale > 0, scale, 1.0)


def _projection(grams: Sequence[Grams], seed: int) -> Vectors:
    """Buckets to topics [BUCKETS, TOPICS], scaled so that a topic varies by 1 in the mean.

    The singular vectors of the hashed n-grams, which is latent semantic analysis (Deerwester et
    al., JASIS 1990), by randomised power iterations (Halko, Martinsson and Tropp, SIAM Review
    2011, algorithm 4.4).
    """
    from scipy import sparse

    starts = np.cumsum([0] + [len(buckets) for buckets, _ in grams])
    columns = np.concatenate([buckets for buckets, _ in grams])
    values = np.concatenate([weights for _, weights in grams])
    matrix = sparse.csr_array((values, columns, starts), shape=(len(grams), BUCKETS))
    count = min(TOPICS, len(grams))
    basis = np.random.default_rng(seed).standard_normal((BUCKETS, count))
    for _ in range(_POWER_STEPS):
        basis, _ = np.linalg.qr(matrix.T @ (matrix @ basis))
    spread = (matrix @ basis).std(axis=0)
    return np.asarray(basis / np.where(spread > 1e-9, spread, 1.0), dtype=np.float32)
