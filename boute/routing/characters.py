"""What the characters of a text are, for whole texts at once.

Characters that are alike in everything that is asked of them share a class, and a text is an array
of classes from the start: no step goes through it one by one in Python.
"""

from __future__ import annotations

import functools
import itertools
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
    """Of characters beyond ASCII: the class of each code point below _PLANE, and of every
    description that one above can have."""

    classes: _Classes
    of_code: NDArray[np.uint8]
    of_description: dict[tuple[int, ...], int]


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
    found[above] = [plane.of_description[_description(code)] for code in codes[above].tolist()]
    return found, plane.classes


@functools.cache
def _ascii() -> _Classes:
    """A class for each character of ASCII."""
    return _described([_description(code) for code in range(128)])


@functools.cache
def _plane() -> _Plane:
    """Takes 0.2 s, once a process, when the first text comes that needs it."""
    each = [_description(code) for code in range(_PLANE)]
    no_marks, no_script = (0,) * 4, (0,) * len(_SCRIPTS)
    above = [
        (kind, digit, upper, *no_marks, 1, *no_script)
        for kind, digit, upper in itertools.product(range(4), (0, 1), (0, 1))
    ]
    known = sorted({*each, *above})
    number = {description: index for index, description in enumerate(known)}
    of_code = np.array([number[description] for description in each], dtype=np.uint8)
    return _Plane(_described(known), of_code, number)


def _described(descriptions: list[tuple[int, ...]]) -> _Classes:
    table = np.array(descriptions, dtype=np.int64)
    return _Classes(table[:, 0].astype(np.uint8), table[:, 1:])


@functools.lru_cache(maxsize=2**12)
def _description(code: int) -> tuple[int, ...]:
    """Kind and traits of a code point."""
    character = chr(code)
    traits = Traits(
        character.isdigit(),
        character.isupper(),
        character in _CODE_MARKS,
        character in _MATH_MARKS,
        character == "\n",
        character in "?？؟",
        code > 127,
        *(character.isalpha() and _within(code, blocks) for blocks in _SCRIPTS),
    )
    return (_kind(character), *map(int, traits))


def _kind(character: str) -> int:
    if character.isdecimal():
        return DIGIT
    if character.isalnum():
        return ALONE if _within(ord(character), _SPACELESS) else LETTER
    return SPACE if character.isspace() else ALONE


def _within(code: int, blocks: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= code < high for low, high in blocks)
