"""Measured next to predicted: the outcome that a plan was said to have, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boute.bench.results import Measured
from boute.metrics import latency_metric
from boute.outcome import Outcome

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """One metric, by its name in `boute.metrics` where it has one there.

    `error` is that of the prediction: predicted / measured - 1, or for a share or a quality
    (`is_share`) predicted - measured. None where measured is 0 and the other is not.
    """

    metric: str
    predicted: float
    measured: float
    is_share: bool = False

    @property
    def error(self) -> float | None:
        """Error of the prediction."""
        if self.is_share:
            return self.predicted - self.measured
        if self.measured == 0:
            return 0.0 if self.predicted == 0 else None
        return self.predicted / self.measured - 1.0


def compare(predicted: Outcome, measured: Measured) -> list[Comparison]:
    """What can be compared: quality if it was checked, latencies that were measured, rates, shares.

    Goodput and attainment are compared where the plan has targets. The predicted rate of tokens is
    what the price of an hour and of a million generated tokens say of each other.
    """
    rows = []
    if (quality := measured.quality) is not None:
        rows.append(Comparison("quality", predicted.quality, quality.mean, is_share=True))
    for name in ("ttft", "tpot", "e2e"):
        values_s = measured.latency_s(name)
        for percentile in (50, 95) if len(values_s) else ():
            metric = latency_metric(name, f"p{percentile}")
            found = float(np.percentile(values_s, percentile))
            rows.append(Comparison(metric, predicted.value(metric), found))
    if predicted.cost_per_million_tokens > 0:
        tokens_per_s = predicted.cost_per_hour / 3600 / predicted.cost_per_million_tokens * 1e6
        rows.append(Comparison("output_tokens_per_s", tokens_per_s, measured.output_tokens_per_s))
    if measured.limits:
        rows += [
            Comparison("goodput_per_s", predicted.goodput_per_s, measured.goodput_per_s),
            Comparison(
                "slo_attainment", predicted.slo_attainment, measured.slo_attainment, is_share=True
            ),
        ]
    return rows + _shares(predicted, measured)


def _shares(predicted: Outcome, measured: Measured) -> list[Comparison]:
    """The share of each model; other names that a server answers with are not compared."""
    expected: dict[str, float] = {}
    for pool in predicted.pools:
        share = pool.requests / predicted.requests
        expected[pool.model] = expected.get(pool.model, 0.0) + share
    found = measured.shares
    return [
        Comparison(f"share {model}", share, found.get(model, 0.0), is_share=True)
        for model, share in expected.items()
    ]
