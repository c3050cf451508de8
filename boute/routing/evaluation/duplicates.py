"""Which texts of a table are nearly the same, so that no split puts one on either side.

Texts are sets of word triples, with all numbers taken as one word: puzzles from one template with
other numbers in it are duplicates too. Pairs are found by MinHash signatures cut into bands
(Broder, SEQUENCES 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3) and
kept where the signatures agree on `SIMILARITY` of their places, an estimate of Jaccard similarity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.workload.arrays import Ints

__all__ = ["SIMILARITY", "near_duplicates"]

SIMILARITY: Final = 0.7
_HASHES: Final = 64
_BANDS: Final = 16  # of four hashes each: finds 99% of pairs at 0.7, 64% at 0.5
# A longer text is judged by its beginning, as its features are.
_MOST_WORDS: Final = 4000
_SEED: Final = 0

_WORD: Final = re.compile(r"[^\W\d_]+|\d[\d.,]*")
_MIX: Final = 0xD6E8FEB86659FD93
_TRIPLE: Final = (0x9E3779B97F4A7C15, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB)

Hashes = NDArray[np.uint64]


def near_duplicates(texts: Sequence[str]) -> Ints:
    """A group [N] for each text, numbered from 0 in order of appearance.

    Groups are what near-duplicate pairs connect. Takes about a second for 10,000 questions.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    rows = len(texts)
    if rows == 0:
        return np.zeros(0, dtype=np.int64)
    signatures = _signatures(texts)
    left, right = _candidates(signatures)
    agree = (signatures[left] == signatures[right]).mean(axis=1) >= SIMILARITY
    ones = np.ones(int(agree.sum()), dtype=np.bool_)
    graph = sparse.coo_array((ones, (left[agree], right[agree])), shape=(rows, rows))
    labels = connected_components(graph, directed=False)[1]
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.int64)


def _signatures(texts: Sequence[str]) -> Hashes:
    """MinHash signatures [N, HASHES]: the least of each hash over the triples of a text."""
    triples, places = _triples(texts)
    odd = np.random.default_rng(_SEED).integers(0, 2**63, _HASHES, dtype=np.uint64) * 2 + 1
    columns = [np.minimum.reduceat(_mixed(triples * factor), places)[::2] for factor in odd]
    return np.stack(columns, axis=1)


def _triples(texts: Sequence[str]) -> tuple[Hashes, Ints]:
    """Hashes of the word triples of all texts, and [2 N] where those of each begin and end."""
    known: dict[str, int] = {}
    words: list[int] = []
    places = []
    for text in texts:
        found = _WORD.findall(text.lower())[:_MOST_WORDS] or [text]
        plain = ["0" if word[0:1].isdigit() else word for word in found]
        places += [len(words), len(words) + len(plain)]
        words += [known.setdefault(word, len(known)) for word in plain]
        words += [-1, -2]  # what the last triples of a text are filled up with
    ids = _mixed(np.array([*words, -1, -2], dtype=np.int64).astype(np.uint64) + np.uint64(1))
    first, second, third = (np.uint64(factor) for factor in _TRIPLE)
    triples = ids[:-2] * first + ids[1:-1] * second + ids[2:] * third
    return _mixed(triples), np.array(places, dtype=np.int64)


def _candidates(signatures: Hashes) -> tuple[Ints, Ints]:
    """Pairs of rows that share a band: each row with the first that has its band."""
    left, right = [], []
    for band in np.split(signatures, _BANDS, axis=1):
        _, first, inverse = np.unique(_folded(band), return_index=True, return_inverse=True)
        of_row = first[inverse]
        rows = np.flatnonzero(of_row != np.arange(len(of_row)))
        left.append(of_row[rows])
        right.append(rows)
    return np.concatenate(left), np.concatenate(right)


def _folded(band: Hashes) -> Hashes:
    folded = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        folded = _mixed(folded * np.uint64(_MIX) + column)
    return folded


def _mixed(hashes: Hashes) -> Hashes:
    mixed = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(_MIX)
    return np.asarray(mixed ^ (mixed >> np.uint64(29)), dtype=np.uint64)
