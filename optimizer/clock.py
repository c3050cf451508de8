"""When each part of a study has to be over, so that all of it keeps a time limit.

Its preparation takes what it takes. After the search the front is simulated on resamples, and then
come the certificate and the files.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from boute.optimizer.placement.bound import SECONDS

__all__ = ["Clock"]

DRAWING_SHARE: Final = 1 / 6
"""Of a time limit: what the search leaves to the intervals of the front."""
WRITING_SHARE: Final = 3 / 8
"""Of a time limit: what both leave to the certificate and the files, up to MOST_WRITING_S."""
MOST_WRITING_S: Final = 3.0

SEARCH_SHARE: Final = 1 / 8
"""Of a time limit: what the search gets at least, however long its preparation took."""

# A certificate gets no less, however late it is: HiGHS needs as much to find any bound.
_LEAST_CERTIFYING_S: Final = 0.5


@dataclass(frozen=True)
class Clock:
    """Ends of the parts, by `time.monotonic`; all None where there is no limit."""

    search_end_s: float | None = None
    drawing_end_s: float | None = None
    end_s: float | None = None

    @staticmethod
    def of(started_s: float, prepared_s: float, limit_s: float | None, *, intervals: bool) -> Clock:
        """The clock of a study that started and was prepared then, and draws intervals or not."""
        if limit_s is None:
            return Clock()
        end_s = started_s + limit_s
        drawing_end_s = end_s - min(WRITING_SHARE * limit_s, MOST_WRITING_S)
        search_end_s = drawing_end_s - (DRAWING_SHARE * limit_s if intervals else 0.0)
        least_end_s = prepared_s + SEARCH_SHARE * limit_s
        return Clock(max(search_end_s, least_end_s), max(drawing_end_s, least_end_s), end_s)

    def certifying_s(self) -> float:
        """Seconds that the certificate may take, if it comes now."""
        if self.end_s is None:
            return SECONDS
        return min(max(self.end_s - time.monotonic(), _LEAST_CERTIFYING_S), SECONDS)
