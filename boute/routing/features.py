"""A query's text as numbers, with numpy only, as the request path needs it.

Two views of a text: hashed counts of words and word pairs, and a dozen figures of its shape. The
hash is CRC-32, the same on every machine and in every process. Changing anything here changes what
a saved router means: raise `SCHEMA_VERSION` in `boute.routing.router` with it.

Every request waits for this, so the work is left to C: one pass of the regular expression, one
split into bytes, `map` over `crc32`, and counts of characters rather than tests of each.
"""

from __future__ import annotations

import functools
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
# The same for text that is ASCII and in lower case, at twice the speed.
_ASCII_WORDS: Final = re.compile(r"[a-z]+|[0-9]+|[^\w\s]|_")
_ASCII: Final = re.compile(r"[\x00-\x7f]+")
_CONTROL_WORDS: Final = frozenset(("if", "else", "for", "while", "return", "each", "every", "per"))
_CODE_MARKS: Final = frozenset("{}[]()<>;_`#\\")
_MATH_MARKS: Final = frozenset("+-*/^%=$≤≥√∑∫π")

# The characters that are counted: each column [128] is one kind, in the order of `_counts`.
_ASCII_KINDS: Final = np.array(
    [
        (c.isdigit(), c.isupper(), c in _CODE_MARKS, c in _MATH_MARKS, c == "\n", c == "?", True)
        for c in map(chr, range(128))
    ],
    dtype=np.int64,
)


def hashed_ngrams(text: str) -> tuple[Ints, Floats]:
    """Buckets of the words and word pairs of a text, and their weights.

    Ascending distinct buckets in [0, BUCKETS) and log(1 + count) scaled to a Euclidean length of
    1 (feature hashing: Weinberger et al., ICML 2009). Both are empty for a text without words.
    """
    words = _words(text)
    # No word holds a line break. A pair "a b" continues the CRC of "a" with " b".
    second = "\n ".join(words).encode("utf-8", "replace").split(b"\n")
    alone = list(map(zlib.crc32, "\n".join(words).encode("utf-8", "replace").split(b"\n")))
    pairs = map(zlib.crc32, second[1:], alone)
    hashes = itertools.chain(alone, pairs) if words else ()
    counts = np.bincount(np.fromiter(hashes, np.int64) % BUCKETS, minlength=BUCKETS)
    buckets = np.flatnonzero(counts != 0)
    weights = np.log1p(counts[buckets])
    return buckets, weights / max(float(np.linalg.norm(weights)), 1.0)


def shape_features(texts: Sequence[str]) -> Floats:
    """Figures of the shape of each text, [N, len(SHAPE_NAMES)], not standardised."""
    rows = [_shape(text, _words(text)) for text in texts]
    return np.array(rows, dtype=np.float64).reshape(len(texts), len(SHAPE_NAMES))


@functools.lru_cache(maxsize=1)
def _words(text: str) -> Sequence[str]:
    # Kept for a moment, because a query's n-grams and its shape are asked for one after the other.
    lower = text[:MAX_CHARACTERS].lower()
    return (_ASCII_WORDS if lower.isascii() else _WORDS).findall(lower)


def _shape(text: str, words: Sequence[str]) -> list[float]:
    head = text[:MAX_CHARACTERS]
    characters = max(len(head), 1)
    digits, upper, code, math, newlines, questions, ascii_ = _counts(head)
    if head.isascii():
        numbers = sum(map(str.isdigit, words))
    else:
        numbers = sum(word[0].isdigit() for word in words)
    return [
        float(np.log1p(len(text))),
        float(np.log1p(len(words))),
        digits / characters,
        upper / characters,
        (len(head) - ascii_) / characters,
        code / characters,
        math / characters,
        newlines / characters,
        float(np.log1p(numbers)),
        float(np.log1p(sum(map(_CONTROL_WORDS.__contains__, words)))),
        float(min(questions, 5)),
        len(set(words)) / max(len(words), 1),
        len("".join(words)) / max(len(words), 1),
    ]


def _counts(head: str) -> list[int]:
    """How many characters there are of each kind."""
    codes = np.frombuffer(head.encode("ascii", "ignore"), dtype=np.uint8)
    counts: list[int] = (np.bincount(codes, minlength=128) @ _ASCII_KINDS).tolist()
    if len(codes) < len(head):
        others = _ASCII.sub("", head)
        counts[0] += sum(map(str.isdigit, others))
        counts[1] += sum(map(str.isupper, others))
        counts[3] += sum(map(_MATH_MARKS.__contains__, others))
    return counts
