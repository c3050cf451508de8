"""Everything that boute raises on purpose.

    BouteError              exit 2
    ├── InputError          what the user gave is wrong: a file, a key, an option
    │   ├── SpecError       boute.yaml
    │   ├── PlanError       a plan file
    │   ├── ProfileError    a GPU or model card
    │   ├── DataError       a trace, a quality table, a router file
    │   └── StudyError      a study file
    ├── OutputError         a file could not be written
    ├── ServingError        a cluster or a server is not there, or does not do what it should
    └── InfeasibleError     exit 3: nothing meets what was asked

The message of each is one line: where it happened, what is wrong, how to mend it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

__all__ = [
    "BouteError",
    "DataError",
    "InfeasibleError",
    "InputError",
    "OutputError",
    "PlanError",
    "ProfileError",
    "ServingError",
    "SpecError",
    "StudyError",
    "nearest",
]


class BouteError(Exception):
    """One line that says where, what and how to mend it.

    `problem` is what is wrong, `where` the file and key it is in (`boute.yaml:7: gpus.l4.count`),
    `mend` what the user can do. The two optional parts are left out of the line when empty.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, problem: str, *, where: str = "", mend: str = "") -> None:
        self.problem = problem
        self.where = where
        self.mend = mend
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.problem}" if self.where else self.problem
        line = f"{line}; {self.mend}" if self.mend else line
        # A key or a file name can hold anything, and a line of a terminal should not.
        return "".join(char if char.isprintable() else "?" for char in " ".join(line.split()))

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only fields would be lost on the way back from a worker process.
        return (_rebuild, (type(self), self.problem, self.where, self.mend))


def nearest(name: str | Sequence[str], known: Iterable[str], kind: str) -> str:
    """A mend for a name that is not known: the nearest known ones, or a list of all.

    `name` may be several, when any of them would have done.
    """
    names = list(known)
    folded = {known_name.lower(): known_name for known_name in names}
    wanted = [name] if isinstance(name, str) else name
    close = dict.fromkeys(near for one in wanted for near in _near(one[:100].lower(), folded))
    if close:
        return f"did you mean {' or '.join(folded[near] for near in list(close)[:3])}?"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"known {kind}: {', '.join(names[:12])}{more}" if names else "remove it"


def _near(wanted: str, folded: Collection[str]) -> list[str]:
    """The names most like one that is not known; all in lower case."""
    if wanted in folded:
        return [wanted]
    # A name without its unit or its variant comes first: price of price_per_hour, h100 of h100-sxm,
    # which is further from it by letters than h200.
    longer = [name for name in folded if name.startswith((f"{wanted}_", f"{wanted}-"))]
    return longer or difflib.get_close_matches(wanted, folded, n=1)


def _rebuild(kind: type[BouteError], problem: str, where: str, mend: str) -> BouteError:
    return kind(problem, where=where, mend=mend)


class InputError(BouteError):
    """Something that the user gave is wrong."""


class SpecError(InputError):
    """boute.yaml is wrong."""


class PlanError(InputError):
    """A plan file is wrong."""


class ProfileError(InputError):
    """A GPU card or a model card is wrong or missing."""


class DataError(InputError):
    """A trace, a quality table or a router file is wrong."""


class StudyError(InputError):
    """A study file is wrong, or belongs to another spec."""


class OutputError(BouteError):
    """A file could not be written; nothing half-written is left behind."""


class ServingError(BouteError):
    """A cluster or a server is not there, or does not do what it should."""


class InfeasibleError(BouteError):
    """Nothing meets what was asked; the message names the constraint that binds."""

    exit_code: ClassVar[int] = 3
