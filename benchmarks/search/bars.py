"""The bars on hypervolume: near the enumerated front on small cases, first at every clock on large.

All figures come from records of cells, and hypervolumes of one case are on one scale.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.search.cell import Record

__all__ = [
    "CLOCKS_S",
    "NEAR",
    "Bar",
    "Curve",
    "first_at_each_clock",
    "medians",
    "near_enumeration",
    "volume_at",
]

NEAR: Final = 0.99
"""Share of the enumerated front's hypervolume that a search of a small case has to reach."""

CLOCKS_S: Final = (10.0, 30.0, 120.0)
"""Seconds at which the searches of a large case are compared."""

Curve = Sequence[tuple[int, float, float]]
"""Of a search its evaluations so far, the seconds that they took, and the hypervolume then."""


@dataclass(frozen=True)
class Bar:
    """What is asked, what was measured, and whether that is enough; `note` says more."""

    what: str
    asked: str
    figure: str
    met: bool
    note: str = ""

    def line(self) -> str:
        """One line of the report."""
        verdict = "met" if self.met else "MISSED"
        note = f" ({self.note})" if self.note else ""
        return f"{verdict:7}{self.what}: {self.figure}, asked {self.asked}{note}"


def volume_at(curve: Curve, seconds: float = math.inf, evaluations: float = math.inf) -> float:
    """Hypervolume that a search had after so many seconds and evaluations; 0 before the first."""
    reached = 0.0
    for count, at_s, volume in curve:
        if count > evaluations or at_s > seconds:
            break
        reached = volume
    return reached


def near_enumeration(
    case: str, exact: Record, searches: Sequence[Record], evaluations: int, seconds: float
) -> Bar:
    """Whether every seed reaches NEAR of the enumerated front within evaluations and seconds."""
    truth = volume_at(exact["curve"])
    shares = [volume_at(record["curve"], seconds, evaluations) / truth for record in searches]
    return Bar(
        what=f"{case}, {evaluations} evaluations and {seconds:g} s of mobo",
        asked=f"{NEAR} of the enumerated front in every seed",
        figure=f"median {statistics.median(shares):.4f}, worst {min(shares):.4f}",
        met=min(shares) >= NEAR,
        note=f"{sum(share >= NEAR for share in shares)} of {len(shares)} seeds",
    )


def first_at_each_clock(
    case: str, searches: Mapping[str, Sequence[Record]], clocks_s: Sequence[float]
) -> list[Bar]:
    """Whether mobo's median hypervolume is the highest at each clock, and who comes next."""
    return [_first(case, searches, clock_s) for clock_s in clocks_s]


def _first(case: str, searches: Mapping[str, Sequence[Record]], clock_s: float) -> Bar:
    medians = {name: _median(records, clock_s) for name, records in searches.items()}
    own = medians.pop("mobo")
    rival = max(medians, key=lambda name: medians[name])
    return Bar(
        what=f"{case} at {clock_s:g} s",
        asked=f"more than {rival}'s {medians[rival]:.4f}",
        figure=f"mobo {own:.4f}",
        met=own > medians[rival],
        note=f"{own / medians[rival] - 1.0:+.1%}" if medians[rival] else "",
    )


def _median(records: Sequence[Record], clock_s: float) -> float:
    return statistics.median(volume_at(record["curve"], clock_s) for record in records)


def medians(
    searches: Mapping[str, Mapping[str, Sequence[Record]]], clocks_s: Sequence[float]
) -> str:
    """A markdown table: of each sampler its medians at every clock, a column a case."""
    names = list(dict.fromkeys(name for found in searches.values() for name in found))
    at = " / ".join(f"{clock_s:g}" for clock_s in clocks_s)
    rows = [["sampler", *(f"{case}, {at} s" for case in searches)], ["---"] * (1 + len(searches))]
    rows += [
        [
            name,
            *(
                " / ".join(f"{_median(found[name], clock_s):.3f}" for clock_s in clocks_s)
                for found in searches.values()
            ),
        ]
        for name in names
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
