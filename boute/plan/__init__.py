"""What is decided: a plan file, read, written, compared and explained."""

from boute.plan.model import Alternative, Plan, PlannedModel, Pool, Routing, Source
from boute.plan.store import load_plan, save_plan

__all__ = [
    "Alternative",
    "Plan",
    "PlannedModel",
    "Pool",
    "Routing",
    "Source",
    "load_plan",
    "save_plan",
]
