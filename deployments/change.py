"""From the plan that runs to another: what changes, and whether it can change live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boute.deployments.cluster import Running
from boute.deployments.fleet import BuildArguments, Fleet, load_fleet
from boute.deployments.live import LiveConfig
from boute.errors import InputError
from boute.plan.diff import Apply, diff_plans
from boute.plan.model import Plan

__all__ = ["Change", "plan_change"]


@dataclass(frozen=True)
class Change:
    """`live` is the setting to go to; `lines` tell a person what changes."""

    kind: Apply
    live: LiveConfig
    lines: list[str]


def plan_change(running: Running, plan: Path, options: Path | None) -> Change:
    """Compare what runs with a plan file; keys are read anew. Raise InputError and its kinds.

    A dry run stays one: what simulates goes on to simulate.
    """
    wanted = BuildArguments(
        plan=str(plan.absolute()),
        options=str(options.absolute()) if options is not None else running.arguments.options,
        engine=running.arguments.engine,
    )
    fleet = load_fleet(wanted)
    now = running.live
    if now == fleet.live:
        return Change("nothing", fleet.live, ["Nothing to do: this is what runs."])
    same_fleet = now is not None and now.fleet_hash == fleet.live.fleet_hash
    return Change("live" if same_fleet else "redeploy", fleet.live, _lines(running, fleet))


def _lines(running: Running, fleet: Fleet) -> list[str]:
    now = running.live
    before = _plan_that_runs(running)
    if now is None or before is None:
        return ["The plan that runs is no longer where it was; it cannot be compared in words."]
    lines = diff_plans(before, fleet.plan).lines()
    if now.keys != fleet.live.keys:
        lines += ["", "Keys", "  Keys or their limits change."]
    return lines


def _plan_that_runs(running: Running) -> Plan | None:
    """The plan that was deployed, with the routing that was applied since; None if it is gone."""
    now = running.live
    try:
        fleet = load_fleet(running.arguments)
    except InputError:
        return None
    if now is None or fleet.live.fleet_hash != now.fleet_hash:
        return None
    weights = {pool.name: pool.weight for pool in now.pools}
    pools = [pool.model_copy(update={"weight": weights[pool.name]}) for pool in fleet.plan.pools]
    return fleet.plan.model_copy(update={"name": now.plan, "routing": now.routing, "pools": pools})
