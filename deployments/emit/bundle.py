"""What a cluster needs of a plan, as files beside each other that name nothing outside.

The plan, its router, its options and keys, and the cards that boute does not ship. Paths in them
are rewritten to where the cluster finds them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from boute.deployments.engines.settings import EngineSettings
from boute.deployments.fleet import BuildArguments, Fleet, load_fleet, pool_settings
from boute.deployments.keys import load_keys
from boute.deployments.live import LiveConfig, live_config, plan_hashes
from boute.deployments.options import ServingOptions
from boute.documents import dump_yaml
from boute.files import read_bytes, sha256_of
from boute.plan.model import Plan, PlannedModel
from boute.plan.store import plan_text
from boute.profiles import catalog
from boute.profiles.gpu import GpuCard
from boute.routing.store import HEADER, router_files
from boute.spec.load import gpu_card, resolve

__all__ = ["Bundle", "make_bundle"]

PLAN: Final = "plan.yaml"
OPTIONS: Final = "serve.yaml"
KEYS: Final = "keys.yaml"


@dataclass(frozen=True)
class Bundle:
    """`files` by name; the rest is what they say. `settings` and `cards` are by pool and GPU type.

    `identity` changes when the fleet, its options or its router do, and stays when only routing,
    weights or keys do: what is named by it is redeployed in the first case alone.
    """

    files: dict[str, bytes]
    plan: Plan
    options: ServingOptions
    live: LiveConfig
    settings: dict[str, EngineSettings]
    cards: dict[str, GpuCard]
    identity: str

    def arguments(self, folder: str) -> BuildArguments:
        """What the application is built from when the files are in `folder`."""
        return BuildArguments(plan=f"{folder}/{PLAN}", options=f"{folder}/{OPTIONS}")

    def live_in(self, folder: str) -> LiveConfig:
        """The live setting when the files are in `folder`."""
        router = None if self.live.router_folder is None else folder
        return self.live.model_copy(update={"router_folder": router})

    def secrets(self) -> list[str]:
        """Variables that hold secrets: our keys, Hugging Face's token, and keys of endpoints."""
        keys = {settings.served_by.api_key_env for settings in self.settings.values()} - {None}
        # An endpoint of Hugging Face has their token as its key, and no variable is named twice.
        return list(dict.fromkeys(["BOUTE_API_KEYS", "HF_TOKEN", *sorted(map(str, keys))]))


def make_bundle(
    plan_file: Path,
    options_file: Path | None,
    *,
    weights: Callable[[PlannedModel, Path], str],
    listen: tuple[str, int] | None = None,
) -> Bundle:
    """Load and check a plan and its options, and make the files.

    `weights` says where the cluster finds the folder of a model, given the folder here; `listen`
    replaces host and port of the options. Keys of the environment stay out: what is written down
    should not depend on who wrote it. Raises InputError and its kinds.
    """
    fleet = load_fleet(
        BuildArguments(
            plan=str(plan_file), options=None if options_file is None else str(options_file)
        )
    )
    beside = Path.cwd() if options_file is None else options_file.absolute().parent
    keys = load_keys(fleet.options, beside, {})
    cards = _cards(fleet)
    files = _card_files(fleet)
    router = _router(fleet)
    files |= router
    if fleet.options.keys_file is not None:
        files[KEYS] = read_bytes(resolve(fleet.options.keys_file, beside))
    plan = _rewritten(fleet, set(files), weights)
    options = _options(fleet.options, listen)
    files[PLAN] = plan_text(plan).encode()
    files[OPTIONS] = dump_yaml(options.model_dump(mode="json", exclude_defaults=True)).encode()
    # Prices and cards are read where they are here, and named as they are there.
    live = live_config(fleet.plan, fleet.folder, keys).model_copy(
        update={**plan_hashes(plan), "routing": plan.routing}
    )
    identity = sha256_of(live.fleet_hash, files[OPTIONS], router.get(HEADER, b""))[:10]
    return Bundle(files, plan, options, live, pool_settings(fleet), cards, identity)


def _cards(fleet: Fleet) -> dict[str, GpuCard]:
    """The card of each GPU type in use, with the plan's own size of a node."""
    gpus = fleet.plan.spec.gpus
    used = {pool.gpu for pool in fleet.plan.pools}
    return {name: gpu_card(name, gpus[name], fleet.folder) for name in used}


def _card_files(fleet: Fleet) -> dict[str, bytes]:
    """Cards that boute does not ship; those of models where a simulated engine reads them."""
    files = {}
    for pool in fleet.plan.pools:
        gpu = fleet.plan.spec.gpus[pool.gpu].card or pool.gpu
        wanted = [(_gpu_file(pool.gpu), catalog.card_path(gpu, fleet.folder, "gpus"))]
        if fleet.engine_of(pool.model).engine == "simulated":
            choice = next(choice for choice in fleet.plan.spec.models if choice.name == pool.model)
            path = catalog.card_path(choice.card or choice.name, fleet.folder, "models")
            wanted.append((_model_file(pool.model), path))
        for name, path in wanted:
            if not path.is_relative_to(catalog.SHIPPED):
                files[name] = read_bytes(path)
    return files


def _gpu_file(name: str) -> str:
    return f"gpu-{name}.yaml"


def _model_file(name: str) -> str:
    return f"model-{name}.yaml"


def _router(fleet: Fleet) -> dict[str, bytes]:
    """The router's files, checked to be the plan's."""
    routing = fleet.plan.routing
    if routing.router is None:
        return {}
    return router_files(resolve(routing.router, fleet.folder), expected_hash=routing.router_hash)


def _rewritten(fleet: Fleet, files: set[str], weights: Callable[[PlannedModel, Path], str]) -> Plan:
    """The plan with its router, cards and weights named as the cluster finds them."""
    plan = fleet.plan
    routing = plan.routing.model_copy(update={"router": "."} if HEADER in files else {})
    models = [_with_weights(model, fleet.folder, weights) for model in plan.models]
    gpus = {
        name: supply.model_copy(update={"card": _gpu_file(name)})
        if _gpu_file(name) in files
        else supply
        for name, supply in plan.spec.gpus.items()
    }
    choices = [
        choice.model_copy(update={"card": _model_file(choice.name)})
        if _model_file(choice.name) in files
        else choice
        for choice in plan.spec.models
    ]
    spec = plan.spec.model_copy(update={"gpus": gpus, "models": choices})
    return plan.model_copy(update={"routing": routing, "models": models, "spec": spec})


def _with_weights(
    model: PlannedModel, folder: Path, weights: Callable[[PlannedModel, Path], str]
) -> PlannedModel:
    served_by = model.served_by
    if served_by.folder is None or not served_by.on_devices:
        return model
    there = weights(model, resolve(served_by.folder, folder).absolute())
    return model.model_copy(update={"served_by": served_by.model_copy(update={"folder": there})})


def _options(options: ServingOptions, listen: tuple[str, int] | None) -> ServingOptions:
    changes: dict[str, Any] = {}
    if listen is not None:
        changes |= {"host": listen[0], "port": listen[1]}
    if options.keys_file is not None:
        changes["keys_file"] = KEYS
    return options.model_copy(update=changes)
