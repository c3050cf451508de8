"""The steps of an engine's start, and what one start took in each.

The six are those of "Breaking the Ice" (MLSys 2026). What none of them explains, from the first
line of the log until the engine is ready, is kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

__all__ = ["STEPS", "STEP_LABELS", "Cache", "Startup", "Step"]

Step = Literal["bootstrap", "tokenizer", "loading", "compile", "profiling", "capture"]
Cache = Literal["warm", "cold"]

STEPS: Final[tuple[Step, ...]] = get_args(Step)
STEP_LABELS: Final[dict[Step, str]] = {
    "bootstrap": "framework bootstrap",
    "tokenizer": "tokenizer",
    "loading": "model loading",
    "compile": "torch.compile",
    "profiling": "KV profiling, warm-up",
    "capture": "graph capture",
}


@dataclass(frozen=True)
class Startup:
    """One start as its log shows it, in seconds; a step that the log does not tell is None.

    `total_s` is from the first line to `ready`, None for a log without both. Of several workers and
    engines each step is that of the slowest. `cache` is that of compiled code, None where nothing
    was compiled or nothing is said of it; `captured_sizes` counts batch sizes with a graph. `notes`
    are sentences on what is odd about the log.
    """

    steps: dict[Step, float | None]
    total_s: float | None
    version: str | None
    model: str | None
    eager: bool | None
    cache: Cache | None
    tensor_parallel: int | None
    captured_sizes: int | None
    workers: int
    engines: int
    notes: tuple[str, ...]

    @property
    def explained_s(self) -> float:
        """The steps that are known, together."""
        return sum(seconds for seconds in self.steps.values() if seconds is not None)

    @property
    def unexplained_s(self) -> float | None:
        """What is left of the total, at least 0."""
        return None if self.total_s is None else max(0.0, self.total_s - self.explained_s)
