"""A fitted router: weights in arrays, scores with numpy only, saved without pickle.

Fitting is in `boute.routing.score`; nothing here needs scikit-learn, so the request path can load
and apply a router.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from boute.documents import Document, check_document
from boute.errors import DataError
from boute.files import read_bytes, write_bytes
from boute.routing.features import BUCKETS, SHAPE_NAMES, hashed_ngrams, shape_features
from boute.workload.arrays import Floats

__all__ = ["QUERY_HEADERS", "SCHEMA_VERSION", "Kind", "Router", "standardise"]

SCHEMA_VERSION: Final = 2
MAX_BYTES: Final = 16 * 2**20
# In standard deviations: a query unlike any that was fitted on is not judged by one figure alone.
FURTHEST: Final = 4.0

Kind = Literal["text", "features", "given"]

QUERY_HEADERS: Final[Mapping[Kind, str]] = {
    "given": "x-boute-score",
    "features": "x-boute-features",
}
"""Where a served router finds what it scores, if that is not the text of the request."""


class _Header(Document):
    schema_version: Literal[2]
    kind: Kind
    models: list[str]
    feature_names: list[str]
    data_hash: str


@dataclass(frozen=True, eq=False)
class Router:
    """Turns queries into scores in [0, 1], higher for harder.

    `text`: logistic regression on hashed n-grams and standardised shape figures of a text.
    `features`: the same on standardised numeric features. `given`: a score from outside, moved
    to [0, 1]. `models` are in the cost order that it was fitted for, cheapest first. The F dense
    inputs have `mean` and `scale` [F]; `weights` is [BUCKETS + F] for text, else [F].
    """

    kind: Kind
    models: tuple[str, ...]
    feature_names: tuple[str, ...]
    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float
    data_hash: str

    def __post_init__(self) -> None:
        dense = len(self.feature_names)
        hashed = BUCKETS if self.kind == "text" else 0
        if self.mean.shape != (dense,) or self.scale.shape != (dense,):
            raise ValueError("mean and scale have an entry a feature")
        if self.weights.shape != (hashed + dense,):
            raise ValueError("weights have an entry an input")
        if self.kind == "text" and self.feature_names != SHAPE_NAMES:
            raise ValueError("the shape figures of a text are others now")
        numbers = np.concatenate([self.mean, self.scale, self.weights, [self.intercept]])
        if not np.isfinite(numbers).all() or (self.scale <= 0).any():
            raise ValueError("weights are finite and scales positive")

    def score(self, queries: Sequence[str] | Floats) -> Floats:
        """Scores [N] of N texts, or of features [N, F], or of given scores [N]."""
        if self.kind == "given":
            moved = (np.asarray(queries, dtype=np.float64) - self.mean[0]) / self.scale[0]
            return np.asarray(moved.clip(0.0, 1.0))
        if self.kind == "features":
            dense = np.asarray(queries, dtype=np.float64).reshape(-1, len(self.feature_names))
            return self.score_inputs(dense, np.zeros(len(dense)))
        texts = [str(query) for query in queries]
        grams = [hashed_ngrams(text) for text in texts]
        hashed = np.array([self.weights[buckets] @ values for buckets, values in grams])
        return self.score_inputs(shape_features(texts), hashed)

    def score_inputs(self, dense: Floats, hashed: Floats) -> Floats:
        """Scores [N] of dense inputs [N, F] and the weighted sums [N] of the hashed n-grams."""
        weights = self.weights[len(self.weights) - len(self.feature_names) :]
        # A product and a sum, not BLAS: a query scores the same alone and in a batch.
        logit = (standardise(dense, self.mean, self.scale) * weights).sum(axis=1)
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * (logit + hashed + self.intercept))))

    def save(self, path: Path) -> str:
        """Write as one .npz without objects, the same bytes each time; return its SHA-256."""
        header = _Header(
            schema_version=SCHEMA_VERSION,
            kind=self.kind,
            models=list(self.models),
            feature_names=list(self.feature_names),
            data_hash=self.data_hash,
        )
        buffer = io.BytesIO()
        np.savez(
            buffer,
            header=np.array(header.model_dump_json()),
            mean=self.mean,
            scale=self.scale,
            weights=self.weights,
            intercept=np.array(self.intercept),
        )
        data = buffer.getvalue()
        write_bytes(path, data)
        return hashlib.sha256(data).hexdigest()

    @classmethod
    def load(cls, path: Path, *, expected_hash: str | None = None) -> Router:
        """Read a router; raise DataError when it is damaged, of another version or another file.

        `expected_hash` is the SHA-256 that a plan recorded. The file cannot run code: arrays are
        loaded without pickle.
        """
        where = str(path)
        data = read_bytes(path, error=DataError)
        if expected_hash is not None and hashlib.sha256(data).hexdigest() != expected_hash:
            raise DataError(
                "is not the router that the plan was made with",
                where=where,
                mend="restore the file, or optimize again",
            )
        arrays = _arrays(data, where)
        try:
            plain = json.loads(str(arrays["header"]))
            version = plain.get("schema_version")
        except (ValueError, AttributeError):
            raise _damaged(where) from None
        if version != SCHEMA_VERSION:
            raise DataError(
                f"is a router of schema version {version}; this boute reads {SCHEMA_VERSION}",
                where=where,
                mend="fit it again",
            )
        header = check_document(plain, _Header, where=where, error=DataError)
        try:
            return cls(
                kind=header.kind,
                models=tuple(header.models),
                feature_names=tuple(header.feature_names),
                mean=_floats(arrays["mean"]),
                scale=_floats(arrays["scale"]),
                weights=_floats(arrays["weights"]),
                intercept=float(arrays["intercept"]),
                data_hash=header.data_hash,
            )
        except (ValueError, TypeError):
            raise _damaged(where) from None


def standardise(dense: Floats, mean: Floats, scale: Floats) -> Floats:
    """Figures [N, F] in standard deviations from their mean, cut at four."""
    return np.asarray(((dense - mean) / scale).clip(-FURTHEST, FURTHEST))


def _floats(array: NDArray[np.generic]) -> Floats:
    if array.dtype != np.float64:
        raise ValueError("weights are float64")
    return np.asarray(array, dtype=np.float64)


def _arrays(data: bytes, where: str) -> dict[str, NDArray[np.generic]]:
    names = ("header", "mean", "scale", "weights", "intercept")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_BYTES:
            raise _damaged(where)
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in names}
    except Exception:
        # A hostile archive can fail in zipfile, zlib and numpy in a dozen ways; all mean the same.
        raise _damaged(where) from None


def _damaged(where: str) -> DataError:
    return DataError("is not a whole router file", where=where, mend="fit it again")
