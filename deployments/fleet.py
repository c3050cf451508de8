"""What is to be served: a plan, its options and its keys, loaded and checked against each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boute.deployments.engines.settings import EngineSettings, engine_settings
from boute.deployments.keys import load_keys
from boute.deployments.live import LiveConfig, live_config
from boute.deployments.options import ServingOptions
from boute.deployments.pace import pace_of
from boute.documents import Document, load_document
from boute.errors import InputError, nearest
from boute.plan.model import Plan
from boute.plan.store import load_plan
from boute.routing.encoders.encoder import Takes
from boute.routing.router import Router
from boute.spec.family import ServedBy

__all__ = ["BuildArguments", "Fleet", "load_fleet", "pool_settings"]


class BuildArguments(Document):
    """What the application is built from: files, by paths that the cluster's head can read.

    `engine: simulated` has every model of the plan simulated: a dry run, asked for by name.
    """

    plan: str
    options: str | None = None
    engine: Literal["simulated"] | None = None


@dataclass(frozen=True)
class Fleet:
    """A plan in the folder of its file, how to serve it, and what of it can change live."""

    plan: Plan
    folder: Path
    options: ServingOptions
    live: LiveConfig

    @property
    def pool_names(self) -> list[str]:
        """Names of the pools, which are those of their deployments."""
        return [pool.name for pool in self.plan.pools]

    @property
    def router_takes(self) -> Takes | None:
        """What the router scores: texts, features or scores; None without a router."""
        folder = self.live.router_folder
        return None if folder is None else Router.load(Path(folder)).takes

    def engine_of(self, model: str) -> ServedBy:
        """What answers for a model of the plan."""
        return next(member.served_by for member in self.plan.models if member.name == model)


def load_fleet(arguments: BuildArguments) -> Fleet:
    """Load what the arguments name; raise InputError and its kinds."""
    path = Path(arguments.plan).absolute()
    plan = load_plan(path)
    if arguments.engine is not None:
        plan = _with_engine(plan, ServedBy(engine=arguments.engine))
    options, beside = _options(arguments.options)
    for pool in options.autoscaling:
        names = [known.name for known in plan.pools]
        if pool not in names:
            raise InputError(
                f"the plan has no pool {pool}",
                where=f"{arguments.options}: autoscaling.{pool}",
                mend=nearest(pool, names, "pools"),
            )
    keys = load_keys(options, beside, os.environ)
    return Fleet(plan, path.parent, options, live_config(plan, path.parent, keys))


def pool_settings(fleet: Fleet) -> dict[str, EngineSettings]:
    """What the replicas of each pool run; raise PlanError or ProfileError."""
    found = {}
    for pool in fleet.plan.pools:
        simulated = fleet.engine_of(pool.model).engine == "simulated"
        pace = pace_of(fleet.plan, pool, fleet.folder) if simulated else None
        found[pool.name] = engine_settings(fleet.plan, pool, fleet.folder, pace=pace)
    return found


def _with_engine(plan: Plan, served_by: ServedBy) -> Plan:
    models = [member.model_copy(update={"served_by": served_by}) for member in plan.models]
    return plan.model_copy(update={"models": models})


def _options(file: str | None) -> tuple[ServingOptions, Path]:
    """The options, and the folder that files named in them are relative to."""
    if file is None:
        return ServingOptions(), Path.cwd()
    path = Path(file).absolute()
    return load_document(path, ServingOptions), path.parent
