from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.live import LiveConfig
from boute.deployments.scores import BINS, ScoreHistogram
from boute.plan.model import Routing
from boute.routing.evaluation.score_log import ScoreCounts


def live(plan: str, threshold: float = 0.5) -> LiveConfig:
    routing = Routing(models=["small", "big"], fractions=[0.5, 0.5], thresholds=[threshold])
    return LiveConfig(
        plan=plan,
        plan_hash="",
        fleet_hash="",
        routing=routing,
        router_folder=None,
        pools=[],
        quality=0.8,
        request_limits={},
    )


@given(st.lists(st.floats(0.0, 1.0), max_size=30))
def test_drift_reads_what_the_ingress_counts(scores: list[float]) -> None:
    histogram = ScoreHistogram("r1")
    histogram.reconfigure(live("plan-01"))
    for score in scores:
        histogram.observe("plan-01", score)
    read = ScoreCounts.model_validate(histogram.data())
    (plan,) = read.plans
    assert (read.replica, plan.models, plan.thresholds) == ("r1", ["small", "big"], [0.5])
    # Each score comes back to within the width of a bin.
    assert np.abs(plan.scores() - np.sort(scores)).max(initial=0.0) <= 1.0 / BINS + 1e-9


def test_scores_of_another_policy_have_no_thresholds() -> None:
    cascade = {"policy": "cascade", "loads": [1.0, 0.5]}
    config = live("a")
    histogram = ScoreHistogram()
    routing = config.routing.model_copy(update=cascade)
    histogram.reconfigure(config.model_copy(update={"routing": routing}))
    (plan,) = ScoreCounts.model_validate(histogram.data()).plans
    assert plan.thresholds == []


def test_plans_are_counted_apart_and_the_last_one_comes_last() -> None:
    histogram = ScoreHistogram()
    for name in ("a", "b", "a"):
        histogram.reconfigure(live(name))
        histogram.observe(name, 0.5)
    histogram.observe("never seen", 0.5)
    plans = ScoreCounts.model_validate(histogram.data()).plans
    assert [(plan.plan, sum(plan.counts)) for plan in plans] == [("b", 1), ("a", 2)]


def test_a_plan_with_another_routing_starts_anew() -> None:
    histogram = ScoreHistogram()
    histogram.reconfigure(live("a"))
    histogram.observe("a", 0.5)
    histogram.reconfigure(live("a", threshold=0.6))
    (plan,) = ScoreCounts.model_validate(histogram.data()).plans
    assert (plan.thresholds, sum(plan.counts)) == ([0.6], 0)
