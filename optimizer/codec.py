"""Candidates as plain data, for the file of a study: points are lists there, decisions objects."""

from __future__ import annotations

from typing import Any

from boute.optimizer.trial import Candidate
from boute.plan.decision import Decision
from boute.plan.model import Pool, Routing

__all__ = ["candidate_data", "candidate_of", "decision_data", "decision_of_data"]


def decision_data(decision: Decision) -> dict[str, Any]:
    """A decision as JSON has it."""
    return {
        "routing": decision.routing.model_dump(mode="json"),
        "pools": [pool.model_dump(mode="json") for pool in decision.pools],
    }


def decision_of_data(data: dict[str, Any]) -> Decision:
    """The decision again; raise ValueError, TypeError or KeyError for what is none."""
    return Decision(
        Routing.model_validate(data["routing"]),
        tuple(Pool.model_validate(pool) for pool in data["pools"]),
    )


def candidate_data(candidate: Candidate) -> Any:
    """A candidate as JSON has it."""
    return decision_data(candidate) if isinstance(candidate, Decision) else list(candidate)


def candidate_of(data: Any) -> Candidate:
    """The candidate again."""
    return decision_of_data(data) if isinstance(data, dict) else tuple(data)
