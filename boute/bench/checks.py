"""Whether an answer is right: the quality of a completion, given the expected answer.

A check is any function of the completion and the expected answer to a quality in [0, 1]; these
are the three that the command line knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["CHECKS", "Check"]

# Numbers with their sign and point, and words.
_WORDS: Final = re.compile(r"(?<!\w)[-+]?\d+(?:[.,]\d+)*|\w+")

Check = Callable[[str, str], float]


def _exact(completion: str, expected: str) -> float:
    return float(completion.strip() == expected.strip())


def _contains(completion: str, expected: str) -> float:
    return float(expected.strip() in completion)


def _last_word(completion: str, expected: str) -> float:
    # A chain of thought ends with its answer, often after a sign and before a full stop.
    wanted = _WORDS.findall(expected)
    return float(bool(wanted) and _WORDS.findall(completion)[-len(wanted) :] == wanted)


CHECKS: Final[Mapping[str, Check]] = {
    "exact": _exact,
    "contains": _contains,
    "last-word": _last_word,
}
"""By name: the stripped completion, a part of it, or its last word is the expected answer."""
