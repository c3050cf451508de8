"""Figures of a text's shape: length, code and maths in it, its language, its form as a question.

The words that tell of a language or of a form are few, so they are looked up among those of the
text. A language is told by its script, and by its commonest words where the script is Latin.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import numpy as np

from boute.routing.characters import codes_of, counted
from boute.routing.words import Hashes, Words, word_hashes
from boute.workload.arrays import Floats, Ints

__all__ = ["SHAPE_NAMES", "shape_of"]

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
    "accented_letter_share",
    "cyrillic_letter_share",
    "arabic_hebrew_letter_share",
    "south_asian_letter_share",
    "east_asian_letter_share",
    "french_word_share",
    "german_word_share",
    "spanish_word_share",
    "leading_question_word",
    "leading_auxiliary_verb",
    "log_request_words",
)

_MOST_MARKS: Final = 5
_LISTS: Final = {
    "control": "if else for while return each every per",
    "english": "the of and to in is a that it for was with as on be at by this from are not have",
    "french": "le la les de des du et un une est dans que qui pour pas sur avec au ce il par ne",
    "german": "der die das und den von zu mit sich des auf für ist im dem nicht ein eine als auch",
    "spanish": "el la los las de y que en un una es por con del para se no al lo como su más",
    "question": "what which who whom whose when where why how wer wie warum welche welcher welches "
    "wann wo qui quel quelle pourquoi quand combien où qué quién cuál cómo cuándo dónde cuánto",
    "auxiliary": "is are was were do does did can could will would should has have had",
    "request": "write explain describe find compute calculate prove show list give name identify "
    "define compare summarize summarise translate solve determine evaluate simplify implement "
    "create generate complete convert design discuss estimate",
}


class _Listed(NamedTuple):
    """How many words are on each of the lists."""

    control: int
    english: int
    french: int
    german: int
    spanish: int
    question: int
    auxiliary: int
    request: int


class _Vocabulary(NamedTuple):
    """Hashes [V] of the listed words, ascending, which lists each is on [V, len(_LISTS)], and the
    same by hash."""

    hashes: Hashes
    lists: Ints
    by_hash: dict[int, _Listed]


def shape_of(text: str, head: str, words: Words) -> Floats:
    """Figures [len(SHAPE_NAMES)] of a text, of which `head` is the part that is looked at."""
    ordered = np.sort(words.hashes)
    of, listed, first = counted(codes_of(head)), _listed(ordered), _first(words)
    shares = [
        of.digits,
        of.upper,
        of.not_ascii,
        of.code_marks,
        of.math_marks,
        of.newlines,
        of.accented,
        of.cyrillic,
        of.arabic_hebrew,
        of.south_asian,
        of.east_asian,
    ]
    counts = [len(text), len(words.hashes), words.numbers, listed.control, listed.request]
    of_text = (np.array(shares) / max(len(head), 1)).tolist()
    logs = np.log1p(counts).tolist()
    distinct = np.count_nonzero(ordered[1:] != ordered[:-1]) + min(len(ordered), 1)
    # Words of two languages, and code, are taken for English: only what exceeds that counts.
    foreign = [max(n - listed.english, 0) for n in (listed.french, listed.german, listed.spanish)]
    of_words = (
        np.array([distinct, words.characters, *foreign]) / max(len(words.hashes), 1)
    ).tolist()
    return np.array(
        [
            *logs[:2],
            *of_text[:6],
            *logs[2:4],
            min(of.question_marks, _MOST_MARKS),
            *of_words[:2],
            *of_text[6:],
            *of_words[2:],
            first.question,
            first.auxiliary,
            logs[4],
        ],
        dtype=np.float64,
    )


def _listed(ordered: Hashes) -> _Listed:
    """Of words by their hashes, ascending."""
    vocabulary = _vocabulary()
    first, last = (np.searchsorted(ordered, vocabulary.hashes, s) for s in ("left", "right"))
    return _Listed(*((last - first) @ vocabulary.lists).tolist())


def _first(words: Words) -> _Listed:
    """Of the first word alone, 1 or 0 each."""
    return _vocabulary().by_hash.get(words.first, _Listed(*[0] * len(_LISTS)))


@functools.cache
def _vocabulary() -> _Vocabulary:
    lists = [frozenset(words.split()) for words in _LISTS.values()]
    every = tuple(sorted(frozenset().union(*lists)))
    hashes = word_hashes(every)
    order = np.argsort(hashes)
    on = np.array([[word in one for one in lists] for word in every], dtype=np.int64)
    by_hash = {int(value): _Listed(*row) for value, row in zip(hashes, on.tolist(), strict=True)}
    return _Vocabulary(hashes[order], on[order], by_hash)
