"""The words of a text as hashes, the same on every machine and in every process.

The hash is a polynomial in the characters. Words are in lower case; every mark is a word.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boute.routing.characters import ALONE, DIGIT, LETTER, SPACE, Codes, codes_of, kinds_of
from boute.workload.arrays import Ints

__all__ = ["MAX_CHARACTERS", "Hashes", "Words", "mixed", "word_hashes", "words_of"]

Hashes = NDArray[np.uint64]

# Bounds the time of one request: a longer text is judged by its beginning, and by its length.
MAX_CHARACTERS: Final = 20_000

# Odd, so that they have inverses modulo 2**64, and with bits all over.
_BASE: Final = 0x9E3779B97F4A7C15
_MIX: Final = 0xD6E8FEB86659FD93


class Words(NamedTuple):
    """Hashes of a text's words in order, that of the first of letters (-1 if there is none), how
    many characters they have together, and how many are numbers."""

    hashes: Hashes
    first: int
    characters: int
    numbers: int


def words_of(head: str) -> Words:
    """The words, numbers and marks of a text of at most MAX_CHARACTERS."""
    codes = codes_of(head.lower())
    kinds = kinds_of(codes)
    # A word ends where the kind changes, and before and after what stands alone.
    apart = (kinds[1:] != kinds[:-1]) | (kinds[1:] == ALONE)
    in_words = kinds != SPACE
    edge = np.ones(min(len(codes), 1), dtype=np.bool_)
    starts = np.flatnonzero(np.concatenate([edge, apart]) & in_words)
    ends = np.flatnonzero(np.concatenate([apart, edge]) & in_words) + 1
    hashes = _hashes(codes, starts, ends)
    kinds = kinds[starts]
    letters = kinds == LETTER
    return Words(
        hashes=hashes,
        first=int(hashes[letters.argmax()]) if letters.any() else -1,
        characters=int((ends - starts).sum()),
        numbers=int((kinds == DIGIT).sum()),
    )


def word_hashes(words: tuple[str, ...]) -> Hashes:
    """The hash [W] that each word has in a text."""
    found = [_hashes(codes_of(word), np.array([0]), np.array([len(word)])) for word in words]
    return np.concatenate(found)


def mixed(hashes: Hashes) -> Hashes:
    """Hashes whose high bits depend on all bits (the rounds of Pelle Evensen's rrmxmx, cut)."""
    first = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(_MIX)
    return (first ^ (first >> np.uint64(29))) * np.uint64(_MIX)


def _hashes(codes: Codes, starts: Ints, ends: Ints) -> Hashes:
    """A hash of each slice: the sum of (code + 1) * BASE**place modulo 2**64, mixed.

    Sums up to each character give those of all slices at once; the power that a slice starts with
    is divided out, so a word has one hash wherever it stands.
    """
    powers, inverses = _powers()
    terms = (codes.astype(np.uint64) + np.uint64(1)) * powers[: len(codes)]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return mixed((sums[ends] - sums[starts]) * inverses[starts])


@functools.cache
def _powers() -> tuple[Hashes, Hashes]:
    """Powers of the base and of its inverse modulo 2**64, for the longest text in lower case."""
    longest = 3 * MAX_CHARACTERS  # one character becomes three at most
    tables = []
    for factor in (_BASE, pow(_BASE, -1, 2**64)):
        table = np.full(longest, factor, dtype=np.uint64)
        table[0] = 1
        tables.append(np.multiply.accumulate(table))
    return tables[0], tables[1]
