"""Progress of a search: two live lines for a person, next to nothing for a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Final

from boute.cli.console import is_terminal, note
from boute.metrics import is_maximised
from boute.plan.words import metric_short, metric_text

if TYPE_CHECKING:
    from rich.status import Status

    from boute.optimizer.run import Settings
    from boute.optimizer.search import Step

__all__ = ["SearchProgress"]

# A log gets a line for the first feasible plan, and a sign of life this often.
_LOG_EVERY_S: Final = 60.0


class SearchProgress:
    """Hypervolume, the best of each objective, and the time left."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._robust = settings.spec.search.robust
        self._started = self._logged = time.monotonic()
        self._best: dict[str, float] = {}
        self._live: Status | None = None

    def __enter__(self) -> SearchProgress:
        if is_terminal():
            from rich.console import Console

            self._live = Console(stderr=True, highlight=False).status("preparing")
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def step(self, step: Step) -> None:
        """Take in one evaluation."""
        is_first = step.trial.feasible and not self._best
        self._improve(step)
        now = time.monotonic()
        done = f"{step.evaluations}/{self._settings.evaluations}"
        left = f"{self._left_s(step, now - self._started):.0f} s left"
        best = ", ".join(_text(name, value) for name, value in self._best.items())
        found = (
            f"hypervolume {step.hypervolume:.4f}; best {best or 'none, nothing is feasible yet'}"
        )
        if self._live is not None:
            self._live.update(f"{self._settings.sampler} {done}, {left}\n  {found}")
        elif is_first or now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            what = "first feasible plan" if is_first else self._settings.sampler
            note(f"{now - self._started:.1f} s: {what}, {done}, {left}; {found}")

    def _improve(self, step: Step) -> None:
        outcome = step.trial.outcome
        if not step.trial.feasible or outcome is None:
            return
        for name in self._settings.objectives:
            value = outcome.pessimistic(name) if self._robust else outcome.value(name)
            better = max if is_maximised(name) else min
            self._best[name] = better(value, self._best.get(name, value))

    def _left_s(self, step: Step, spent_s: float) -> float:
        left_s = spent_s / step.evaluations * (self._settings.evaluations - step.evaluations)
        if self._settings.time_limit_s is not None:
            left_s = min(left_s, self._settings.time_limit_s - spent_s)
        return max(left_s, 0.0)


def _text(metric: str, value: float) -> str:
    """A value with its name, where its unit does not say it: `Quality 0.81`, `$12.30 per hour`."""
    text = metric_text(metric, value)
    return text if metric.startswith("cost") else f"{metric_short(metric)} {text}"
