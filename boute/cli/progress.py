"""Progress of a search: a live line for a person, a few plain lines for a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Final

from boute.cli.console import is_terminal, note
from boute.metrics import is_maximised
from boute.plan.words import metric_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from boute.optimizer.run import Settings
    from boute.optimizer.search import Step

__all__ = ["SearchProgress"]

# Without a terminal: one line for the first feasible plan and one each quarter of the way.
_QUARTERS: Final = 4


class SearchProgress:
    """Hypervolume, the best of each objective, and the time left."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started = time.monotonic()
        self._best: dict[str, float] = {}
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._said_first = False

    def __enter__(self) -> SearchProgress:
        if is_terminal():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn("{task.fields[state]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self._settings.sampler, total=self._settings.evaluations, state="preparing"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, step: Step) -> None:
        """Take in one evaluation."""
        outcome = step.trial.outcome
        if step.trial.feasible and outcome is not None:
            for name in self._settings.objectives:
                value = outcome.value(name)
                better = max if is_maximised(name) else min
                self._best[name] = better(value, self._best.get(name, value))
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step.evaluations, state=self._state(step))
        else:
            self._plain(step)

    def _plain(self, step: Step) -> None:
        first = step.trial.feasible and not self._said_first
        self._said_first = self._said_first or first
        quarter = max(self._settings.evaluations // _QUARTERS, 1)
        if first or step.evaluations % quarter == 0:
            what = "first feasible plan" if first else f"{self._settings.sampler}"
            done = f"{step.evaluations}/{self._settings.evaluations}"
            note(f"{time.monotonic() - self._started:.1f} s: {what}, {done}, {self._state(step)}")

    def _state(self, step: Step) -> str:
        best = ", ".join(metric_text(name, value) for name, value in self._best.items())
        found = f"best {best}" if best else "nothing feasible yet"
        return f"hypervolume {step.hypervolume:.4f}, {found}, {self._left(step)} left"

    def _left(self, step: Step) -> str:
        spent = time.monotonic() - self._started
        left = spent / step.evaluations * (self._settings.evaluations - step.evaluations)
        if self._settings.time_limit_s is not None:
            left = min(left, self._settings.time_limit_s - spent)
        return f"{max(left, 0.0):.0f} s"
