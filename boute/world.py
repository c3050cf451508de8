"""The world that a plan was made for, and changes to it: another trace, rate, price or supply."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from boute.context import Context, prepare
from boute.errors import InputError, nearest
from boute.plan.decision import Decision
from boute.plan.model import Plan
from boute.spec.model import Spec
from boute.spec.workload import WorkloadSource
from boute.workload.arrays import Workload
from boute.workload.pairing import pair_routed
from boute.workload.source import load_trace

__all__ = ["changed_spec", "context_of", "whole_workload", "with_workload"]


def context_of(
    plan: Plan, path: Path, *, trace: Path | None = None, rate_scale: float = 1.0
) -> Context:
    """The context that a plan file stands in, with another trace or rate if asked for.

    Another trace is used whole, at its own rate times `rate_scale`. Raises SpecError,
    ProfileError and DataError as `prepare` does.
    """
    spec = plan.spec
    if trace is not None:
        workload = WorkloadSource(trace=os.path.abspath(trace), seed=spec.workload.seed)
        spec = with_workload(spec, workload, is_other=True)
    router = plan.routing.router
    return prepare(
        changed_spec(spec, rate_scale=rate_scale),
        path.parent,
        where=str(path),
        earlier_router=path.parent / router if router else None,
    )


def whole_workload(context: Context, decision: Decision) -> Workload:
    """Every request of a trace that was thinned, for this decision only; else what there is.

    A day of requests by a family of models would fill the memory, so the output tokens are those
    of the model that the decision routes to, the same in all columns. A cascade asks several, and
    has them all.
    """
    if context.workload.thinning is None:
        return context.workload
    source = context.spec.workload
    trace = load_trace(source, context.folder, source.seed)
    if decision.routing.policy == "cascade":
        return context.paired(trace, source.seed)
    return pair_routed(
        trace,
        context.model_names,
        context.score,
        context.table.output_tokens,
        context.answers(decision.routing),
        output_length=context.spec.quality.output_length,
        seed=source.seed,
    )


def with_workload(spec: Spec, workload: WorkloadSource, *, is_other: bool) -> Spec:
    """A spec with its workload replaced; `is_other` when that is of another trace."""
    spec = spec.model_copy(update={"workload": workload})
    if not is_other:
        return spec
    # The longest request of another trace decides anew how long a request may be.
    return spec.model_copy(
        update={"engine": spec.engine.model_copy(update={"max_model_len": None})}
    )


def changed_spec(
    spec: Spec,
    *,
    rate_scale: float = 1.0,
    prices: Mapping[str, float] | None = None,
    without: tuple[str, ...] = (),
) -> Spec:
    """A spec with its rate scaled, prices replaced and GPU types taken away.

    Raises InputError for a GPU type that the spec does not have, or when none is left.
    """
    for option, names in (("--price", prices or {}), ("--without", without)):
        for name in names:
            if name not in spec.gpus:
                raise InputError(
                    f"{name} is not among the GPU types of the spec",
                    where=option,
                    mend=nearest(name, spec.gpus, "GPU types"),
                )
    gpus = {
        name: gpu.model_copy(update={"price_per_hour": prices[name]})
        if prices and name in prices
        else gpu
        for name, gpu in spec.gpus.items()
        if name not in without
    }
    if not gpus:
        raise InputError("no GPU type is left", where="--without", mend="leave at least one")
    workload = spec.workload.model_copy(
        update={"rate_scale": spec.workload.rate_scale * rate_scale}
    )
    return spec.model_copy(update={"gpus": gpus, "workload": workload})
