"""How far a draft is from the fleet that runs: as far as the decision that it stands for."""

from __future__ import annotations

from collections.abc import Callable

from boute.context import Context
from boute.migration import Migration
from boute.optimizer.draft import decision_of_draft, draft_of
from boute.optimizer.fidelity.looker import Looker, latencies_among
from boute.optimizer.fidelity.steady import SteadyParts
from boute.optimizer.near import plans_near_current
from boute.optimizer.problem import Problem
from boute.optimizer.robustness import as_it_is, metrics_of
from boute.optimizer.sobol_points import sobol_points
from boute.plan.decision import Decision
from boute.resamples import Resamples

RUNS = [
    {"model": "llama-3.1-8b", "gpu": "l40s", "replicas": 2},
    {"model": "llama-3.1-70b", "gpu": "h100-sxm", "replicas": 1, "tensor_parallel": 4},
]


def test_a_draft_moves_what_its_decision_moves(context_of: Callable[..., Context]) -> None:
    """By the formulas, before anything is simulated, and by a full evaluation."""
    targets = {"moved_gpus_max": 4, "migration_max_s": 600}
    problem = Problem(context_of(current=RUNS, targets=targets))
    latencies = tuple(latencies_among(problem.wanted))
    looker = Looker(problem, SteadyParts(problem.context, problem.table, latencies))
    decoded = map(problem.decode, sobol_points(problem.encoding.dimensions, 16, seed=2))
    chance = [found for found in decoded if isinstance(found, Decision)]
    moved = set()
    for decision in [*plans_near_current(problem, [])[:8], *chance]:
        draft = draft_of(decision, problem)
        found, _ = looker.metrics(draft)
        told = Migration(problem.context).metrics(decision_of_draft(draft, problem))
        assert {name: found[name] for name in told} == told
        moved.add(told["moved_gpus"])
    assert 0.0 in moved
    assert len(moved) > 3
    outcome = as_it_is(chance[0], Resamples(problem.context))
    told = Migration(problem.context).metrics(chance[0])
    assert {name: outcome.value(name) for name in told} == told


def test_limits_on_moves_are_metrics_that_a_search_asks_for(
    context_of: Callable[..., Context],
) -> None:
    spec = context_of(current=RUNS, targets={"moved_gpus_max": 4}).spec
    assert "moved_gpus" in metrics_of(spec)
    assert "migration_s" not in metrics_of(spec)
