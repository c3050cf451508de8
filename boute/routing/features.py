"""A query's text as numbers, with numpy only, as the request path needs it.

Two views of a text: hashed counts of words and word pairs, and figures of its shape. Changing
anything here, or in what it imports, changes what a saved router means: raise `SCHEMA_VERSION` in
`boute.routing.store` with it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from boute.routing.shape import SHAPE_NAMES, shape_of
from boute.routing.words import MAX_CHARACTERS, Hashes, mixed, words_of
from boute.workload.arrays import Floats, Ints

__all__ = ["BUCKETS", "SHAPE_NAMES", "Grams", "encode_text"]

Grams = tuple[Ints, Floats]
"""Ascending buckets of a text's n-grams, and their weights."""

BUCKET_BITS: Final = 13
BUCKETS: Final = 2**BUCKET_BITS
_PAIR: Final = 0xA0761D6478BD642F


def encode_text(text: str) -> tuple[Grams, Floats]:
    """The n-grams of a text, and figures of its shape [len(SHAPE_NAMES)], not standardised.

    Ascending distinct buckets in [0, BUCKETS) and log(1 + count) scaled to a Euclidean length of
    1 (feature hashing: Weinberger et al., ICML 2009). Both are empty for a text without words.
    """
    head = text[:MAX_CHARACTERS]
    words = words_of(head)
    return _ngrams(words.hashes), shape_of(text, head, words)


def _ngrams(alone: Hashes) -> Grams:
    """Words and pairs of neighbouring words, by the hashes of the words."""
    pairs = mixed(alone[:-1] * np.uint64(_PAIR) + alone[1:])
    hashes = np.concatenate([alone, pairs]) >> np.uint64(64 - BUCKET_BITS)
    counts = np.bincount(hashes.astype(np.int64), minlength=BUCKETS)
    buckets = np.flatnonzero(counts > 0)  # five times faster than of the counts themselves
    weights = np.log1p(counts[buckets])
    return buckets, weights / max(float(np.linalg.norm(weights)), 1.0)
