"""The task of the tiny family: a ledger of labelled amounts, and its running total, written out.

`a+7 b+8 c-5` is answered by `a+7=07 b+8=15 c-5=10`; what counts is the total after the last `=`.
The number of entries is the difficulty: the text shows it, the answer grows with it, and one wrong
step spoils all that follow. Knows nothing of models or tokens.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["ALPHABET", "DIFFICULTIES", "Problem", "answer_of", "draw", "training_problem", "unseen"]

LABELS: Final = "abcdefghijk"
ALPHABET: Final = "0123456789+-=" + LABELS + " "
DIFFICULTIES: Final = tuple(range(4, len(LABELS) + 1))
HELD_OUT_SHARE: Final = 8


@dataclass(frozen=True)
class Problem:
    """A query, the working that answers it, and the number of entries."""

    query: str
    working: str
    difficulty: int

    @property
    def answer(self) -> str:
        """The total, two digits."""
        return answer_of(self.working)

    @property
    def held_out(self) -> bool:
        """Whether no model is trained on this query: one in eight, by a hash of the text."""
        return zlib.crc32(self.query.encode()) % HELD_OUT_SHARE == 0


def answer_of(text: str) -> str:
    """What stands after the last `=`; all of it when there is none."""
    return text.rsplit("=", 1)[-1].strip()


def draw(difficulty: int, rng: np.random.Generator) -> Problem:
    """A problem with `difficulty` entries of 1 to 9, whose totals stay within 0 to 99."""
    query, working, total = [], [], 0
    for label in LABELS[:difficulty]:
        amount, owed = int(rng.integers(1, 10)), rng.random() < 0.5
        sign = "-" if owed and total >= amount else "+"
        total += -amount if sign == "-" else amount
        query.append(f"{label}{sign}{amount}")
        working.append(f"{label}{sign}{amount}={total:02d}")
    return Problem(" ".join(query), " ".join(working), difficulty)


def training_problem(rng: np.random.Generator) -> Problem:
    """A problem to learn from, of one entry or more: short ones teach the single step."""
    while True:
        problem = draw(int(rng.integers(1, len(LABELS) + 1)), rng)
        if not problem.held_out:
            return problem


def unseen(
    count: int, rng: np.random.Generator, *, other_than: Iterable[Problem] = ()
) -> list[Problem]:
    """Distinct held-out problems, all difficulties alike, none with a query of `other_than`."""
    taken = {problem.query for problem in other_than}
    problems: list[Problem] = []
    while len(problems) < count:
        problem = draw(int(rng.choice(DIFFICULTIES)), rng)
        if problem.held_out and problem.query not in taken:
            taken.add(problem.query)
            problems.append(problem)
    return problems
