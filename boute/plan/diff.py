"""Two plans compared in words: what moves, and whether it can be applied to a running fleet.

The policy with its thresholds or prices, pool weights and the router are settings of the running
ingress and change live; anything that starts, stops or moves a replica needs a redeployment.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from boute.plan.migration import fleet_of, moved_gpus
from boute.plan.model import Plan, Pool
from boute.plan.rules import setting_text, setting_words
from boute.plan.words import (
    change_text,
    metric_label,
    moved_text,
    pool_text,
    replica_text,
    seconds_text,
)

__all__ = ["Apply", "DiffSection", "PlanDiff", "deployed_part", "diff_plans"]

Apply = Literal["nothing", "live", "redeploy"]
T = TypeVar("T")


@dataclass(frozen=True)
class DiffSection:
    """Changes of one kind, a sentence a line."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class PlanDiff:
    """How plan `b` differs from plan `a`.

    `apply` says what it takes to go from `a` to `b`: nothing, a live change of settings, or a
    redeployment. Sections without changes are left out.
    """

    a: str
    b: str
    apply: Apply
    sections: tuple[DiffSection, ...]

    def lines(self) -> list[str]:
        """The comparison as plain text."""
        text = [f"{self.a} -> {self.b}"]
        for section in self.sections:
            text += ["", section.title, *(f"  {line}" for line in section.lines)]
        return text


def diff_plans(a: Plan, b: Plan) -> PlanDiff:
    """Explain how to get from plan `a` to plan `b` and what that changes."""
    apply, applying = _applying(a, b)
    sections = (
        DiffSection("Asked", tuple(_asked(a, b))),
        DiffSection("Routing", tuple(_routing(a, b))),
        DiffSection("Models", tuple(_models(a, b))),
        DiffSection("Pools", tuple(_pools(a, b))),
        DiffSection("GPUs", tuple(_gpus(a, b))),
        DiffSection("Predicted", tuple(_predicted(a, b))),
        DiffSection("To apply", (applying,)),
    )
    kept = tuple(section for section in sections if section.lines)
    return PlanDiff(a=a.name, b=b.name, apply=apply, sections=kept)


def _asked(a: Plan, b: Plan) -> list[str]:
    if a.source.spec_hash == b.source.spec_hash:
        return []
    return ["The plans answer different specs or data: their predictions do not compare directly."]


def _routing(a: Plan, b: Plan) -> list[str]:
    lines = []
    if a.routing.router_hash != b.routing.router_hash:
        lines.append("The router changes: scores, and so thresholds, are not on one scale.")
    if a.routing.models != b.routing.models:
        lines.append(f"Order by cost: {_join(b.routing.models)}; it was {_join(a.routing.models)}.")
    if a.routing.policy != b.routing.policy:
        lines.append(f"Policy: {b.routing.policy}; it was {a.routing.policy}.")
    lines += _shares_moved(a, b, "fractions", "takes")
    if "cascade" in (a.routing.policy, b.routing.policy):
        lines += _shares_moved(a, b, "asked", "is asked")
    same = a.routing.models == b.routing.models and a.routing.policy == b.routing.policy
    if same:
        words = setting_words(b.routing)
        pairs = zip(a.routing.models, a.routing.setting, b.routing.setting, strict=False)
        lines += [
            f"{words.format(model)}: {setting_text(a.routing, before)}"
            f" to {setting_text(b.routing, after)}."
            for model, before, after in pairs
            if before != after
        ]
    return lines


def _shares_moved(a: Plan, b: Plan, which: str, takes: str) -> list[str]:
    """Shares of the queries, `fractions` or `asked`, that are not as they were."""
    old, new = (
        dict(zip(plan.routing.models, getattr(plan.routing, which), strict=True)) for plan in (a, b)
    )
    lines = []
    for model in _union(a.routing.models, b.routing.models):
        before, after = old.get(model, 0.0), new.get(model, 0.0)
        if before != after:
            lines.append(
                f"{model} {takes} {after:.1%} instead of {before:.1%} of the queries"
                f" ({100 * (after - before):+.1f} points)."
            )
    return lines


def _models(a: Plan, b: Plan) -> list[str]:
    old = {model.name: model for model in a.models}
    new = {model.name: model for model in b.models}
    lines = []
    for name in _union(list(old), list(new)):
        if name not in new:
            lines.append(f"{name} is no longer served.")
        elif name not in old:
            lines.append(f"{name} is new.")
        elif old[name] != new[name]:
            fields = old[name].model_dump()
            moved = [
                f"{key} {fields[key]} to {value}"
                for key, value in new[name].model_dump().items()
                if fields[key] != value
            ]
            lines.append(f"{name}: {', '.join(moved)}.")
    if a.spec.engine != b.spec.engine:
        lines.append("The engine's settings differ.")
    return lines


def _pools(a: Plan, b: Plan) -> list[str]:
    """Pools matched by model and shape, because a name says nothing to a reader."""
    lines = []
    old, new = _by_shape(a), _by_shape(b)
    for key in _union(list(old), list(new)):
        before, after = old.get(key, []), new.get(key, [])
        where = f"{key[0]} on {replica_text((before or after)[0])}"
        if not before:
            lines.append(f"Added: {key[0]} on {_join([pool_text(pool) for pool in after])}.")
        elif not after:
            lines.append(f"Removed: {key[0]} on {_join([pool_text(pool) for pool in before])}.")
        elif (count := _replicas(before)) != _replicas(after):
            lines.append(f"Resized: {where}, {count} to {_replicas(after)} replicas.")
        if before and after and not _same_weight(before, after):
            lines.append(
                f"Of the queries of {key[0]}, {key[1]} takes {_weight(after):.1%}"
                f" instead of {_weight(before):.1%}."
            )
    return lines


def _gpus(a: Plan, b: Plan) -> list[str]:
    lines = []
    old, new = _held(a), _held(b)
    kinds = _union([gpu for gpu, _ in old], [gpu for gpu, _ in new])
    for kind in kinds:
        before = {model: count for (gpu, model), count in old.items() if gpu == kind}
        after = {model: count for (gpu, model), count in new.items() if gpu == kind}
        moves = {
            model: after.get(model, 0) - before.get(model, 0)
            for model in _union(list(before), list(after))
        }
        if not any(moves.values()):
            continue
        verbs = [_hand_over(model, change) for model, change in moves.items() if change]
        total, now = sum(before.values()), sum(after.values())
        count = f"{total} to {now}" if total != now else f"{total} as before"
        lines.append(f"{kind}: {count}; {', '.join(verbs)}.")
    return lines


def _hand_over(model: str, change: int) -> str:
    return f"{model} takes {change} more" if change > 0 else f"{model} gives up {-change}"


def _predicted(a: Plan, b: Plan) -> list[str]:
    lines = [
        f"{metric_label(metric)}: "
        + change_text(metric, a.predicted.value(metric), b.predicted.value(metric))
        for metric in _union(list(a.objectives), list(b.objectives))
    ]
    if a.predicted.verdict != b.predicted.verdict:
        lines.append(f"Verdict: {a.predicted.verdict} to {b.predicted.verdict}.")
    return lines


def _applying(a: Plan, b: Plan) -> tuple[Apply, str]:
    if deployed_part(a) != deployed_part(b):
        moved = moved_gpus(fleet_of(a), fleet_of(b))
        hands = f" {moved_text(moved)}." if moved else ""
        start = f"Needs a redeployment: replicas start, stop or move.{hands}"
        return "redeploy", f"{start}{_ready(a, b)}"
    if _settings(a) != _settings(b):
        return "live", "Can be applied live: only routing changes, no replica is touched."
    return "nothing", "Nothing to do: the two plans run the same fleet in the same way."


def _ready(a: Plan, b: Plan) -> str:
    """How long the slowest pool that plan `b` adds takes to start, where it is known."""
    old = set(_by_shape(a))
    new = {pool.name for key, pools in _by_shape(b).items() if key not in old for pool in pools}
    told = [pool.ready.warm_s for pool in b.predicted.pools if pool.pool in new and pool.ready]
    return (
        f" The slowest new pool answers {seconds_text(max(told))} after its start." if told else ""
    )


def deployed_part(plan: Plan) -> dict[str, Any]:
    """What of a plan only a redeployment changes, as plain data: pools, engines and their room."""
    return {
        "pools": [
            pool.model_dump(mode="json", exclude={"weight"})
            for pool in sorted(plan.pools, key=lambda pool: pool.name)
        ],
        "models": [
            model.model_dump(mode="json")
            for model in sorted(plan.models, key=lambda model: model.name)
        ],
        "engine": plan.spec.engine.model_dump(mode="json"),
        "max_model_len": plan.max_model_len,
    }


def _settings(plan: Plan) -> object:
    weights = {pool.name: pool.weight for pool in plan.pools}
    routing = plan.routing
    policy = (routing.policy, routing.setting, routing.asked)
    return routing.models, policy, routing.dial, routing.router_hash, weights


def _by_shape(plan: Plan) -> dict[tuple[str, str], list[Pool]]:
    shapes: dict[tuple[str, str], list[Pool]] = {}
    for pool in plan.pools:
        shapes.setdefault((pool.model, replica_text(pool)), []).append(pool)
    return shapes


def _replicas(pools: list[Pool]) -> int:
    return sum(pool.replicas for pool in pools)


def _weight(pools: list[Pool]) -> float:
    return sum(pool.weight for pool in pools)


def _same_weight(before: list[Pool], after: list[Pool]) -> bool:
    return abs(_weight(before) - _weight(after)) < 1e-9


def _held(plan: Plan) -> Counter[tuple[str, str]]:
    held: Counter[tuple[str, str]] = Counter()
    for pool in plan.pools:
        held[pool.gpu, pool.model] += pool.gpus
    return held


def _union(first: list[T], second: list[T]) -> list[T]:
    return list(dict.fromkeys([*first, *second]))


def _join(names: list[str]) -> str:
    return ", ".join(names)
