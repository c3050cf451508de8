"""A query's text as numbers, with numpy only, as the request path needs it.

Two views of a text: hashed counts of words and word pairs, and a dozen figures of its shape. The
hash is a polynomial in the characters, the same on every machine and in every process. Changing
anything here changes what a saved router means: raise `SCHEMA_VERSION` in `boute.routing.store`
with it.

Every request waits for this, so a text is an array of characters from the start, and no step goes
through them one by one in Python.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boute.workload.arrays import Floats, Ints

__all__ = ["BUCKETS", "SHAPE_NAMES", "Grams", "encode_text"]

Grams = tuple[Ints, Floats]
"""Ascending buckets of a text's n-grams, and their weights."""

BUCKET_BITS: Final = 13
BUCKETS: Final = 2**BUCKET_BITS
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
_CONTROL_WORDS: Final = ("if", "else", "for", "while", "return", "each", "every", "per")
_CODE_MARKS: Final = frozenset("{}[]()<>;_`#\\")
_MATH_MARKS: Final = frozenset("+-*/^%=$≤≥√∑∫π")

# What a character is part of: nothing, a word, a number, or a mark, which stands alone.
_SPACE, _LETTER, _DIGIT, _MARK = range(4)

# Odd, so that they have inverses modulo 2**64, and with bits all over.
_BASE: Final = 0x9E3779B97F4A7C15
_MIX: Final = 0xD6E8FEB86659FD93
_PAIR: Final = 0xA0761D6478BD642F


class _Words(NamedTuple):
    """Words, numbers and marks of a text: hashes in order, all characters, how many are numbers."""

    hashes: NDArray[np.uint64]
    characters: int
    numbers: int


def encode_text(text: str) -> tuple[Grams, Floats]:
    """The n-grams of a text, and figures of its shape [len(SHAPE_NAMES)], not standardised.

    Ascending distinct buckets in [0, BUCKETS) and log(1 + count) scaled to a Euclidean length of
    1 (feature hashing: Weinberger et al., ICML 2009). Both are empty for a text without words.
    """
    words = _words(text)
    return _ngrams(words.hashes), np.array(_shape(text, words))


def _ngrams(alone: NDArray[np.uint64]) -> Grams:
    """Words and pairs of neighbouring words, by the hashes of the words."""
    pairs = _mixed(alone[:-1] * np.uint64(_PAIR) + alone[1:])
    hashes = np.concatenate([alone, pairs]) >> np.uint64(64 - BUCKET_BITS)
    counts = np.bincount(hashes.astype(np.int64), minlength=BUCKETS)
    buckets = np.flatnonzero(counts > 0)  # five times faster than of the counts themselves
    weights = np.log1p(counts[buckets])
    return buckets, weights / max(float(np.linalg.norm(weights)), 1.0)


def _words(text: str) -> _Words:
    codes = _codes(text[:MAX_CHARACTERS].lower())
    kinds = _kinds(codes)
    # A word ends where the kind changes, and before and after every mark.
    apart = (kinds[1:] != kinds[:-1]) | (kinds[1:] == _MARK)
    in_words = kinds != _SPACE
    edge = np.ones(min(len(codes), 1), dtype=np.bool_)
    starts = np.flatnonzero(np.concatenate([edge, apart]) & in_words)
    ends = np.flatnonzero(np.concatenate([apart, edge]) & in_words) + 1
    hashes = _hashes(codes, starts, ends)
    numbers = int((kinds[starts] == _DIGIT).sum())
    return _Words(hashes, int((ends - starts).sum()), numbers)


def _hashes(codes: NDArray[np.unsignedinteger], starts: Ints, ends: Ints) -> NDArray[np.uint64]:
    """A hash of each slice: the sum of (code + 1) * BASE**place modulo 2**64, mixed.

    Sums up to each character give those of all slices at once; the power that a slice starts with
    is divided out, so a word has one hash wherever it stands.
    """
    powers, inverses = _powers()
    terms = (codes.astype(np.uint64) + np.uint64(1)) * powers[: len(codes)]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return _mixed((sums[ends] - sums[starts]) * inverses[starts])


def _mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes whose high bits depend on all bits (the rounds of Pelle Evensen's rrmxmx, cut)."""
    mixed = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(_MIX)
    return (mixed ^ (mixed >> np.uint64(29))) * np.uint64(_MIX)


@functools.cache
def _powers() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Powers of the base and of its inverse modulo 2**64, for the longest text in lower case."""
    longest = 3 * MAX_CHARACTERS  # one character becomes three at most
    tables = []
    for factor in (_BASE, pow(_BASE, -1, 2**64)):
        table = np.full(longest, factor, dtype=np.uint64)
        table[0] = 1
        tables.append(np.multiply.accumulate(table))
    return tables[0], tables[1]


def _codes(text: str) -> NDArray[np.unsignedinteger]:
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


@functools.lru_cache(maxsize=2**16)
def _kind(code: int) -> int:
    character = chr(code)
    if character.isdecimal():
        return _DIGIT
    if character.isalnum():
        return _LETTER
    return _SPACE if character.isspace() else _MARK


_ASCII_KIND: Final = np.array([_kind(code) for code in range(128)], dtype=np.uint8)


def _kinds(codes: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    ascii_only = codes.dtype == np.uint8
    kinds: NDArray[np.uint8] = _ASCII_KIND[codes if ascii_only else np.minimum(codes, 127)]
    if ascii_only:
        return kinds
    others = np.flatnonzero(codes > 127)
    kinds[others] = [_kind(code) for code in codes[others].tolist()]
    return kinds


# The characters that are counted: each column [128] is one kind, in the order of `_counts`.
_COUNTED: Final = np.array(
    [
        (c.isdigit(), c.isupper(), c in _CODE_MARKS, c in _MATH_MARKS, c == "\n", c == "?", True)
        for c in map(chr, range(128))
    ],
    dtype=np.int64,
)


@functools.cache
def _control_hashes() -> NDArray[np.uint64]:
    return np.concatenate(
        [_hashes(_codes(word), np.array([0]), np.array([len(word)])) for word in _CONTROL_WORDS]
    )


def _shape(text: str, words: _Words) -> list[float]:
    head = text[:MAX_CHARACTERS]
    characters = max(len(head), 1)
    digits, upper, code, math, newlines, questions, ascii_ = _counts(head)
    count = max(len(words.hashes), 1)
    ordered = np.sort(words.hashes)
    distinct = np.count_nonzero(ordered[1:] != ordered[:-1]) + min(len(ordered), 1)
    first, last = (np.searchsorted(ordered, _control_hashes(), side) for side in ("left", "right"))
    return [
        float(np.log1p(len(text))),
        float(np.log1p(len(words.hashes))),
        digits / characters,
        upper / characters,
        (len(head) - ascii_) / characters,
        code / characters,
        math / characters,
        newlines / characters,
        float(np.log1p(words.numbers)),
        float(np.log1p((last - first).sum())),
        float(min(questions, 5)),
        distinct / count,
        words.characters / count,
    ]


def _counts(head: str) -> list[int]:
    """How many characters there are of each kind."""
    codes = np.frombuffer(head.encode("ascii", "ignore"), dtype=np.uint8)
    counts: list[int] = (np.bincount(codes, minlength=128) @ _COUNTED).tolist()
    if len(codes) < len(head):
        others = [character for character in head if not character.isascii()]
        counts[0] += sum(map(str.isdigit, others))
        counts[1] += sum(map(str.isupper, others))
        counts[3] += sum(map(_MATH_MARKS.__contains__, others))
    return counts
