"""A study as a pandas table, a row a trial: for notebooks and for questions nobody foresaw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from boute.optimizer.study import Study
from boute.outcome import Outcome
from boute.plan.decision import Decision

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["study_frame"]


def study_frame(path: Path) -> pd.DataFrame:
    """All trials of a study in the order they were made; raise StudyError.

    Columns: every metric by its name, `verdict`, `utilisation`, `share.MODEL` of the queries,
    `gpus.TYPE` taken, and `pools` in words.
    """
    import pandas as pd

    with Study(path, None) as study:
        rows = [_row(decision, outcome) for _, decision, outcome in study.trials()]
    shares = {name: 0.0 for row in rows for name in row if name.startswith("share.")}
    gpus = {name: 0 for row in rows for name in row if name.startswith("gpus.")}
    return pd.DataFrame([{**shares, **gpus, **row} for row in rows])


def _row(decision: Decision, outcome: Outcome) -> dict[str, Any]:
    routing = decision.routing
    return {
        **outcome.values(),
        "verdict": outcome.verdict,
        "utilisation": outcome.utilisation,
        **{
            f"share.{model}": fraction
            for model, fraction in zip(routing.models, routing.fractions, strict=True)
        },
        **{f"gpus.{gpu}": count for gpu, count in sorted(decision.gpu_counts().items())},
        "pools": ", ".join(f"{pool.replicas}x {pool.name}" for pool in decision.pools),
    }
