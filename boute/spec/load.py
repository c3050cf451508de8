"""Reading boute.yaml, and resolving the files that it names against its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from boute.documents import load_document
from boute.errors import SpecError
from boute.files import read_bytes, sha256_of
from boute.spec.model import Spec

__all__ = ["load_spec", "rebase_spec", "resolve", "spec_hash"]


def load_spec(path: Path) -> Spec:
    """Read and check a spec; raise SpecError naming file, line and key."""
    return load_document(path, Spec, error=SpecError)


def resolve(name: str, folder: Path) -> Path:
    """A file named in a spec: absolute, or relative to the spec's folder."""
    path = Path(name).expanduser()
    return path if path.is_absolute() else folder / path


def spec_hash(spec: Spec, folder: Path) -> str:
    """Hash of what is asked: the spec without its search settings, and the data files it names.

    How hard to look (`search`) does not change what the trials of a study mean, so a study may be
    continued with another seed, sampler or number of evaluations.
    """
    parts: list[bytes | str] = [spec.model_dump_json(exclude={"search"})]
    named = [spec.workload.trace, spec.quality.table, spec.quality.lengths, spec.quality.texts]
    named += [choice.card for choice in spec.models] + [gpu.card for gpu in spec.gpus.values()]
    for name in named:
        if name is not None and (path := resolve(name, folder)).is_file():
            parts.append(sha256_of(read_bytes(path)))
    return sha256_of(*parts)


def rebase_spec(spec: Spec, folder: Path, target: Path) -> Spec:
    """The same spec with the files that it names written relative to the folder `target`."""
    data = spec.model_dump(exclude_unset=True)

    def rebase(part: dict[str, Any], key: str) -> None:
        name = part.get(key)
        if name is not None and (path := resolve(name, folder)).is_file():
            part[key] = os.path.relpath(path, target)

    rebase(data["workload"], "trace")
    for key in ("table", "lengths", "texts"):
        rebase(data["quality"], key)
    for part in [*data["models"], *data["gpus"].values()]:
        rebase(part, "card")
    return Spec.model_validate(data)
