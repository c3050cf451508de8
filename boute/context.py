"""Everything that a spec names, loaded: cards, prices, the workload and the quality table.

Models are in order of cost from here on, cheapest first: by the bytes of weights that one token
needs, which is what a decode step reads and a prefill step multiplies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from boute.errors import InfeasibleError, InputError, SpecError
from boute.performance.measured import MeasuredEntry, ReplicaKey, load_measured
from boute.performance.memory import WEIGHT_BYTES
from boute.plan.migration import running_pools
from boute.plan.model import Routing
from boute.plan.store import load_plan
from boute.profiles.catalog import load_model
from boute.profiles.gpu import GpuCard
from boute.profiles.model import ModelCard
from boute.routing.chosen import evidence_of, judged_rows
from boute.routing.expected import Interval, expected_quality
from boute.routing.policies.evidence import Evidence
from boute.routing.policies.of import policy_of
from boute.routing.policies.policy import Policy
from boute.routing.table import QualityTable, load_quality_table
from boute.spec.family import ModelChoice
from boute.spec.load import gpu_card, resolve, spec_hash
from boute.spec.model import GpuSupply, RunningPool, Spec
from boute.spec.prices import gpu_price
from boute.workload.arrays import Floats, Ints, Trace, Workload
from boute.workload.pairing import longest_possible, pair
from boute.workload.source import load_trace
from boute.workload.thinning import thin

__all__ = ["Context", "FamilyMember", "Supply", "located", "prepare"]


@dataclass(frozen=True)
class FamilyMember:
    """A model of the family: how it is served, and its card."""

    choice: ModelChoice
    card: ModelCard

    @property
    def name(self) -> str:
        """Name in the spec."""
        return self.choice.name

    @property
    def bytes_per_token(self) -> float:
        """Bytes of weights that one token needs: what models are ordered by."""
        return self.card.active_parameters * WEIGHT_BYTES[self.choice.weights]


@dataclass(frozen=True)
class Supply:
    """GPUs of one type: its card, how many there are, at what price each."""

    name: str
    card: GpuCard
    count: int
    price_per_hour: float


@dataclass(frozen=True, eq=False)
class Context:
    """What evaluation needs besides a decision.

    `family` [K] is in cost order, and so are the columns of `quality` [M, K] and
    `workload.output_tokens`; `score` [M] is held out, row by row. `trace` is what `workload` was
    paired from. `evidence` is what the spec's policy knows of the table's rows, which
    `workload.row` counts; of a resample `drawn` [M] are the rows that `quality` and `score` hold.
    `max_model_len` is the longest request in tokens unless the spec sets it.
    `measured` are the entries of all files of measured step times. Where the spec names the plan
    that runs, `spec.current` here holds its pools: a plan of the study needs no other file of one.
    """

    spec: Spec
    folder: Path
    spec_hash: str
    family: tuple[FamilyMember, ...]
    supplies: tuple[Supply, ...]
    trace: Trace
    workload: Workload
    table: QualityTable
    quality: Floats
    score: Floats
    evidence: Evidence
    max_model_len: int
    measured: tuple[MeasuredEntry, ...] = ()
    drawn: Ints | None = None

    @property
    def current(self) -> list[RunningPool] | None:
        """What runs now, if that is known."""
        return self.spec.current if isinstance(self.spec.current, list) else None

    @cached_property
    def policy(self) -> Policy:
        """The spec's policy on the rows of the table."""
        return policy_of(self.spec.quality.policy, self.evidence)

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the family in cost order."""
        return tuple(member.name for member in self.family)

    def answers(self, routing: Routing) -> Ints:
        """Whose answer each row of the table is given under a routing, a place in the family [M].

        Raise InputError for a routing of another policy than the spec's.
        """
        if routing.policy != self.spec.quality.policy:
            raise InputError(
                f"is {routing.policy}, and quality.policy of its spec {self.spec.quality.policy}",
                where="routing.policy",
                mend="plan again, or make both one",
            )
        return self.policy.answers(routing.setting)

    def shares(self, routing: Routing) -> Floats:
        """The share of the table's rows that each model answers [K]."""
        answers = self.answers(routing)
        return np.asarray(np.bincount(answers, minlength=len(self.family)) / len(answers))

    def expected(self, routing: Routing, confidence: float = 0.95) -> Interval:
        """Mean quality under a routing over the rows that `quality` holds, with its interval."""
        answers = self.answers(routing)
        drawn = answers if self.drawn is None else answers[self.drawn]
        return expected_quality(self.quality, drawn, confidence)

    def paired(self, trace: Trace, seed: int) -> Workload:
        """The table's queries asked when, and as long as, the requests of a trace came."""
        return pair(
            trace,
            self.model_names,
            self.score,
            self.table.output_tokens,
            output_length=self.spec.quality.output_length,
            seed=seed,
        )

    def member(self, name: str) -> FamilyMember:
        """A member of the family by name; raise KeyError."""
        return {member.name: member for member in self.family}[name]

    def supply(self, name: str) -> Supply:
        """A GPU type by name; raise KeyError."""
        return {supply.name: supply for supply in self.supplies}[name]


def prepare(
    spec: Spec, folder: Path, *, where: str = "boute.yaml", earlier_router: Path | None = None
) -> Context:
    """Load all that a spec names, relative to `folder`; raise SpecError, ProfileError, DataError.

    `where` is what the spec is called in messages. What lies beside an earlier router is not worked
    out again, if it is of the same rows.
    """
    with located(where):
        return _prepare(spec, folder, earlier_router)


def _prepare(spec: Spec, folder: Path, earlier_router: Path | None) -> Context:
    spec = _with_current(spec, folder)
    family = _family(spec, folder)
    names = tuple(member.name for member in family)
    supplies = tuple(_supply(name, gpu, folder) for name, gpu in spec.gpus.items() if gpu.count)
    if not supplies:
        raise SpecError("every count is 0", where="gpus", mend="give at least one GPU")
    _require_starts(spec, supplies)
    seed = spec.workload.seed
    trace = load_trace(spec.workload, folder, seed)
    table = load_quality_table(spec.quality, [member.choice for member in family], folder)
    table, score = judged_rows(table, spec.quality.router, folder, seed, earlier_router)
    evidence = evidence_of(table, score, spec.quality, folder, seed, earlier_router)
    windows, thinning = thin(trace, spec.workload.thin_to, seed)
    workload = pair(
        windows,
        names,
        score,
        table.output_tokens,
        output_length=spec.quality.output_length,
        seed=seed,
    )
    workload = replace(workload, thinning=thinning)
    return Context(
        spec=spec,
        folder=folder,
        spec_hash=spec_hash(spec, folder),
        family=family,
        supplies=supplies,
        trace=windows,
        workload=workload,
        table=table,
        quality=table.quality,
        score=score,
        evidence=evidence,
        max_model_len=_max_model_len(spec, _longest(spec, trace, workload, table)),
        measured=_measured(spec, folder, family),
    )


@contextmanager
def located(place: str) -> Iterator[None]:
    """Put `place` before an error that tells no place, or only a key of the spec."""
    try:
        yield
    except (InputError, InfeasibleError) as error:
        section = re.split(r"\W", error.where, maxsplit=1)[0]
        if error.where and section not in Spec.model_fields:
            raise
        where = f"{place}: {error.where}" if error.where else place
        raise type(error)(error.problem, where=where, mend=error.mend) from None


def _with_current(spec: Spec, folder: Path) -> Spec:
    """The spec with the pools that run instead of the file of their plan."""
    if isinstance(spec.current, str):
        plan = load_plan(resolve(spec.current, folder))
        return spec.model_copy(update={"current": running_pools(plan)})
    if spec.current is None and (keys := spec.migration_keys()):
        raise SpecError(
            "it is not known what runs now",
            where=keys[0],
            mend="name the plan that runs under current, or give it with --from",
        )
    return spec


def _require_starts(spec: Spec, supplies: tuple[Supply, ...]) -> None:
    """Raise SpecError where times of starts are asked for and nothing is known of them."""
    asks = spec.targets.migration_max_s is not None or "migration_s" in spec.objectives
    unknown = [supply.name for supply in supplies if supply.card.vendor == "cpu"]
    if asks and unknown:
        raise SpecError(
            f"migration_s is asked for, and nothing is known of starts on {unknown[0]}",
            where=f"gpus.{unknown[0]}",
            mend="limit or trade off moved_gpus instead",
        )


def _family(spec: Spec, folder: Path) -> tuple[FamilyMember, ...]:
    members = []
    for index, choice in enumerate(spec.models):
        with located(f"models[{index}]"):
            card = load_model(choice.card or choice.name, folder)
        members.append(FamilyMember(choice, card))
    return tuple(sorted(members, key=_cost_order))


def _cost_order(member: FamilyMember) -> tuple[float, int]:
    return member.bytes_per_token, member.card.parameters


def _supply(name: str, gpu: GpuSupply, folder: Path) -> Supply:
    with located(f"gpus.{name}"):
        card = gpu_card(name, gpu, folder)
    price = gpu_price(name, gpu, card)
    return Supply(name=name, card=card, count=gpu.count, price_per_hour=price)


def _measured(
    spec: Spec, folder: Path, family: tuple[FamilyMember, ...]
) -> tuple[MeasuredEntry, ...]:
    """Entries of every file; none may be there twice, and each file has to be of some use."""
    models = {member.card.name for member in family}
    found: dict[ReplicaKey, MeasuredEntry] = {}
    for index, name in enumerate(spec.measured):
        entries = load_measured(resolve(name, folder)).entries
        where = f"measured[{index}]"
        if not any(entry.model in models for entry in entries):
            known = ", ".join(sorted({entry.model for entry in entries}))
            raise SpecError(
                f"{name} measures none of the models (it has {known})",
                where=where,
                mend="measure one with boute profile measure --card, or leave the file out",
            )
        for entry in entries:
            if entry.key in found:
                raise SpecError(
                    f"{name} measures {entry.key}, and so does a file before it",
                    where=where,
                    mend="keep one of them",
                )
            found[entry.key] = entry
    return tuple(found.values())


def _longest(spec: Spec, trace: Trace, workload: Workload, table: QualityTable) -> int:
    """Tokens of the longest request: of a thinned trace, of the longest that there can be."""
    if workload.thinning is not None:
        return longest_possible(trace, table.output_tokens, spec.quality.output_length)
    return int(np.max(workload.input_tokens + workload.output_tokens.max(axis=1)))


def _max_model_len(spec: Spec, longest: int) -> int:
    given = spec.engine.max_model_len
    if given is not None and given < longest:
        raise SpecError(
            f"{given} is shorter than the longest request ({longest} tokens)",
            where="engine.max_model_len",
            mend="raise it, or cut the workload",
        )
    return given or longest
