"""Reading boute.yaml, and resolving the files that it names against its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from boute.documents import load_document
from boute.errors import SpecError
from boute.files import read_bytes, sha256_of
from boute.profiles.catalog import card_path, load_gpu
from boute.profiles.gpu import GpuCard
from boute.spec.model import GpuSupply, Spec

__all__ = ["gpu_card", "load_spec", "rebase_spec", "resolve", "spec_hash"]

_DATA_FILES: Final = (
    ("workload", "trace"),
    ("quality", "table"),
    ("quality", "lengths"),
    ("quality", "texts"),
)
# The file that stands for a folder.
_IN_ROUTER_FOLDERS: Final = {"folder": "router.json", "embedding": "model.safetensors"}


def load_spec(path: Path) -> Spec:
    """Read and check a spec; raise SpecError naming file, line and key."""
    return load_document(path, Spec, error=SpecError)


def resolve(name: str, folder: Path) -> Path:
    """A file named in a spec: absolute, or relative to the spec's folder."""
    path = Path(os.path.expanduser(name))
    return path if path.is_absolute() else folder / path


def gpu_card(name: str, supply: GpuSupply, folder: Path) -> GpuCard:
    """The card of a GPU type of a spec, with the spec's own size of a node. Raise ProfileError."""
    card = load_gpu(supply.card or name, folder)
    if supply.node_gpus is None:
        return card
    return card.model_copy(update={"node_gpus": supply.node_gpus})


def spec_hash(spec: Spec, folder: Path) -> str:
    """Hash of what is asked: the spec without its search settings, and the files that it names.

    Files count by what they say, not by where they are, and cards by name too. How hard to look
    (`search`) and who answers (`served_by`) do not change what the trials of a study mean, so a
    study may be continued with others. Raises InputError for a file or card that cannot be read.
    """
    data = spec.model_dump(
        mode="json", exclude={"search": True, "models": {"__all__": {"served_by"}}}
    )
    for part, key, _, path in _files(data, folder):
        part[key] = sha256_of(read_bytes(path))
    for part, key, _, path in _router_folders(data, folder):
        part[key] = sha256_of(read_bytes(path / _IN_ROUTER_FOLDERS[key]))
    return sha256_of(json.dumps(data))


def rebase_spec(spec: Spec, folder: Path, target: Path) -> Spec:
    """The same spec with the files that it names written relative to the folder `target`."""
    data = spec.model_dump(exclude_unset=True)
    for part, key, name, path in [
        *_files(data, folder),
        *_weight_folders(data, folder),
        *_router_folders(data, folder),
    ]:
        # A card by its name stays a name.
        if resolve(name, folder) == path:
            # Without links, because `..` out of a linked folder leads elsewhere.
            part[key] = os.path.relpath(os.path.realpath(path), os.path.realpath(target))
    return Spec.model_validate(data)


def _files(data: dict[str, Any], folder: Path) -> Iterator[tuple[Any, str | int, str, Path]]:
    """Each file that a dumped spec names and that is there: part and key, its name and path.

    `os.path.isfile` takes a name that is too long for a file as one that is not there.
    """
    for section, key in _DATA_FILES:
        name = data[section].get(key)
        if name is not None and os.path.isfile(path := resolve(name, folder)):
            yield data[section], key, name, path
    for place, name in enumerate(data.get("measured", [])):
        if os.path.isfile(path := resolve(name, folder)):
            yield data["measured"], place, name, path
    for part in data["models"]:
        name = part.get("card") or part["name"]
        if (path := card_path(name, folder, "models")).is_file():
            yield part, "card", part.get("card") or "", path
    for gpu, part in data["gpus"].items():
        name = part.get("card") or gpu
        if (path := card_path(name, folder, "gpus")).is_file():
            yield part, "card", part.get("card") or "", path


def _weight_folders(data: dict[str, Any], folder: Path) -> Iterator[tuple[Any, str, str, Path]]:
    for part in data["models"]:
        name = part.get("served_by", {}).get("folder")
        if name is not None:
            yield part["served_by"], "folder", name, resolve(name, folder)


def _router_folders(data: dict[str, Any], folder: Path) -> Iterator[tuple[Any, str, str, Path]]:
    part = data["quality"].get("router", {})
    for key in _IN_ROUTER_FOLDERS:
        if part.get(key) is not None:
            yield part, key, part[key], resolve(part[key], folder)
