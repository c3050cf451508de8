"""What the characters of a text are, for whole texts at once.

Characters that are alike in everything that is asked of them share a class, and a text is an array
of classes from the start: no step goes through it one by one in Python.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boute.workload.arrays import Ints

__all__ = [
    "ALONE",
    "DIGIT",
    "LETTER",
    "SPACE",
    "Codes",
    "Traits",
    "codes_of",
    "counted",
    "kinds_of",
]

Codes = NDArray[np.unsignedinteger]
"""Code points of a text: uint8 where all are ASCII's, uint32 else."""

SPACE, LETTER, DIGIT, ALONE = range(4)
"""What a character is part of: nothing, a word, a number, or a word that it is by itself."""

_CODE_MARKS: Final = frozenset("{}[]()<>;_`#\\")
_MATH_MARKS: Final = frozenset("+-*/^%=$≤≥√∑∫π")
_QUESTION_MARKS: Final = "?？؟"
# Letters of other scripts, by blocks of Unicode 16. A Chinese or Japanese text has no spaces, so
# its characters are words by themselves.
_ACCENTED: Final = ((0xC0, 0x250), (0x1E00, 0x1F00))
_CYRILLIC: Final = ((0x400, 0x530),)
_ARABIC_HEBREW: Final = ((0x590, 0x900),)
_SOUTH_ASIAN: Final = ((0x900, 0x10A0),)
_SPACELESS: Final = ((0x3040, 0x3100), (0x3400, 0xA000))
_HANGUL: Final = ((0xAC00, 0xD7B0),)
_SCRIPTS: Final = (_ACCENTED, _CYRILLIC, _ARABIC_HEBREW, _SOUTH_ASIAN, _SPACELESS + _HANGUL)
_PLANE: Final = 0x10000  # code points that a table holds; those above are rare


class Traits(NamedTuple):
    """How many characters of a text have each trait."""

    digits: int
    upper: int
    code_marks: int
    math_marks: int
    newlines: int
    question_marks: int
    not_ascii: int
    accented: int
    cyrillic: int
    arabic_hebrew: int
    south_asian: int
    east_asian: int


class _Classes(NamedTuple):
    """Kinds [C] of the classes and their traits [C, len(Traits)]."""

    kinds: NDArray[np.uint8]
    traits: Ints


class _Plane(NamedTuple):
    """Classes of characters beyond ASCII, by code point below _PLANE, and by packed description
    [C], ascending, for those above."""

    classes: _Classes
    of_code: NDArray[np.uint8]
    packed: Ints


def codes_of(text: str) -> Codes:
    """The code points of a text."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def kinds_of(codes: Codes) -> NDArray[np.uint8]:
    """SPACE, LETTER, DIGIT or ALONE for each."""
    classed, classes = _classed(codes)
    kinds: NDArray[np.uint8] = classes.kinds[classed]
    return kinds


def counted(codes: Codes) -> Traits:
    """How many have each trait."""
    classed, classes = _classed(codes)
    counts = np.bincount(classed, minlength=len(classes.kinds))
    return Traits(*(counts @ classes.traits).tolist())


def _classed(codes: Codes) -> tuple[Codes, _Classes]:
    if codes.dtype == np.uint8:
        return codes, _ascii()
    plane = _plane()
    found = plane.of_code[np.minimum(codes, _PLANE - 1)]
    above = np.flatnonzero(codes >= _PLANE)
    if above.size:
        found[above] = np.searchsorted(plane.packed, _packed(_described(codes[above])))
    return found, plane.classes


@functools.cache
def _ascii() -> _Classes:
    """A class for each character of ASCII."""
    return _classes(_described(np.arange(128)))


@functools.cache
def _plane() -> _Plane:
    """Made once a process, when the first text comes that needs it."""
    each = _described(np.arange(_PLANE))
    no_marks, no_script = (0,) * 4, (0,) * len(_SCRIPTS)
    above = [
        (kind, digit, upper, *no_marks, 1, *no_script)
        for kind, digit, upper in itertools.product(range(4), (0, 1), (0, 1))
    ]
    every = np.concatenate([each, np.array(above)])
    packed, first, number = np.unique(_packed(every), return_index=True, return_inverse=True)
    return _Plane(_classes(every[first]), number[:_PLANE].astype(np.uint8), packed)


def _classes(described: Ints) -> _Classes:
    return _Classes(described[:, 0].astype(np.uint8), described[:, 1:])


def _packed(described: Ints) -> Ints:
    """A number [N] for each description: its kind above the bits of its traits."""
    return np.asarray(described @ 2 ** np.arange(described.shape[1] - 1, -1, -1), dtype=np.int64)


def _described(codes: NDArray[np.integer]) -> Ints:
    """Kind and traits [N, 1 + len(Traits)] of N code points, in the order of `Traits`."""
    characters = [chr(code) for code in codes.tolist()]

    def those(test: Callable[[str], bool]) -> NDArray[np.bool_]:
        return np.fromiter(map(test, characters), dtype=np.bool_, count=len(codes))

    letters = those(str.isalpha)
    kinds = np.select(
        [
            those(str.isdecimal),
            those(str.isalnum) & ~_within(codes, _SPACELESS),
            those(str.isspace),
        ],
        [DIGIT, LETTER, SPACE],
        ALONE,
    )
    traits = [
        those(str.isdigit),
        those(str.isupper),
        _among(codes, _CODE_MARKS),
        _among(codes, _MATH_MARKS),
        _among(codes, "\n"),
        _among(codes, _QUESTION_MARKS),
        codes > 127,
        *(letters & _within(codes, blocks) for blocks in _SCRIPTS),
    ]
    return np.stack([kinds, *traits], axis=1).astype(np.int64)


def _among(codes: NDArray[np.integer], marks: Collection[str]) -> NDArray[np.bool_]:
    return np.isin(codes, [ord(mark) for mark in marks])


def _within(codes: NDArray[np.integer], blocks: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    inside = [(codes >= low) & (codes < high) for low, high in blocks]
    return np.asarray(np.logical_or.reduce(inside), dtype=np.bool_)
