"""The policy of a name."""

from __future__ import annotations

from boute.routing.policies.cascade import Cascade
from boute.routing.policies.evidence import Evidence
from boute.routing.policies.policy import Policy
from boute.routing.policies.thresholds import Thresholds
from boute.routing.policies.utility import Utility
from boute.spec.quality import Policy as PolicyName
from boute.workload.arrays import Floats

__all__ = ["as_planned", "policy_of"]


def policy_of(name: PolicyName, evidence: Evidence) -> Policy:
    """A policy for queries that there is evidence of; ValueError where that is of another kind."""
    if name == "utility":
        return Utility(evidence)
    return Cascade(evidence) if name == "cascade" else Thresholds(evidence)


def as_planned(name: PolicyName, setting: Floats) -> dict[str, list[float]]:
    """A setting as plans and their dials hold it."""
    if name == "utility":
        return {"thresholds": [], "prices": setting.tolist()}
    return {"thresholds": setting.tolist()}
