"""A query's text as numbers, with numpy only, as the request path needs it.

Two views of a text: hashed counts of words and word pairs, and a dozen figures of its shape. The
hash is CRC-32, the same on every machine and in every process. Changing anything here changes what
a saved router means: raise `SCHEMA_VERSION` in `boute.routing.router` with it.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from boute.workload.arrays import Floats, Ints

__all__ = ["BUCKETS", "SHAPE_NAMES", "hashed_ngrams", "shape_features"]

BUCKETS: Final = 8192
# Bounds the time of one request: a longer text is judged by its beginning, and by its length.
MAX_CHARACTERS: Final = 20_000
SHAPE_NAMES: Final = (
    "log_characters",
    "log_words",
    "digit_share",
    "upper_share",
    "non_ascii_share",
    "code_mark_share",
    "math_mark_share",
    "newline_share",
    "log_numbers",
    "log_control_words",
    "question_marks",
    "distinct_word_share",
    "mean_word_characters",
)
_WORDS: Final = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
_CONTROL_WORDS: Final = frozenset(("if", "else", "for", "while", "return", "each", "every", "per"))
_CODE_MARKS: Final = frozenset("{}[]()<>;_`#\\")
_MATH_MARKS: Final = frozenset("+-*/^%=$≤≥√∑∫π")


def hashed_ngrams(text: str) -> tuple[Ints, Floats]:
    """Buckets of the words and word pairs of a text, and their weights.

    Ascending distinct buckets in [0, BUCKETS) and log(1 + count) scaled to a Euclidean length of
    1 (feature hashing: Weinberger et al., ICML 2009). Both are empty for a text without words.
    """
    words = _WORDS.findall(text[:MAX_CHARACTERS].lower())
    grams = words + [f"{a} {b}" for a, b in itertools.pairwise(words)]
    hashes = [zlib.crc32(gram.encode("utf-8", "replace")) % BUCKETS for gram in grams]
    buckets, counts = np.unique(np.array(hashes, dtype=np.int64), return_counts=True)
    weights = np.log1p(counts)
    return buckets, weights / max(float(np.linalg.norm(weights)), 1.0)


def shape_features(texts: Sequence[str]) -> Floats:
    """Figures of the shape of each text, [N, len(SHAPE_NAMES)], not standardised."""
    rows = [_shape(text) for text in texts]
    return np.array(rows, dtype=np.float64).reshape(len(texts), len(SHAPE_NAMES))


def _shape(text: str) -> list[float]:
    head = text[:MAX_CHARACTERS]
    words = _WORDS.findall(head.lower())
    characters = max(len(head), 1)
    return [
        float(np.log1p(len(text))),
        float(np.log1p(len(words))),
        sum(c.isdigit() for c in head) / characters,
        sum(c.isupper() for c in head) / characters,
        sum(not c.isascii() for c in head) / characters,
        sum(c in _CODE_MARKS for c in head) / characters,
        sum(c in _MATH_MARKS for c in head) / characters,
        head.count("\n") / characters,
        float(np.log1p(sum(word[0].isdigit() for word in words))),
        float(np.log1p(sum(word in _CONTROL_WORDS for word in words))),
        float(min(head.count("?"), 5)),
        len(set(words)) / max(len(words), 1),
        sum(map(len, words)) / max(len(words), 1),
    ]
