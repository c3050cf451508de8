"""`boute emit`: all files of one target, made in memory and then written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from boute.deployments.emit import compose, kuberay
from boute.deployments.emit.bundle import Bundle, make_bundle
from boute.deployments.emit.dashboard import dashboard, scrape_config, scrape_config_in_kubernetes
from boute.deployments.emit.image import default_image, dockerfile
from boute.deployments.emit.serve_config import serve_config
from boute.deployments.emit.text import to_json, to_yaml
from boute.errors import PlanError
from boute.files import write_bytes
from boute.plan.model import PlannedModel

__all__ = ["EmitOptions", "Target", "emit"]

Target = Literal["ray", "kuberay", "compose"]
Files = dict[str, str | bytes]


@dataclass(frozen=True)
class EmitOptions:
    """What the plan does not say.

    `folder` is where a Ray cluster finds what is written, if not where it is written; `image` a
    container image with boute, its own Dockerfile's if None; `weights_path` the folder in that
    image with a folder for each model; `selectors` the node selectors by GPU type.
    """

    folder: str | None = None
    image: str | None = None
    weights_path: str | None = None
    gateway_class: str = "istio"
    selectors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def emit(
    plan: Path, target: Target, out: Path, options: Path | None, choices: EmitOptions
) -> list[Path]:
    """Write the files of `target` into `out` and return their paths.

    `options` is a serve.yaml. Raises InputError and its kinds before anything is written, and
    OutputError.
    """
    make = {"ray": _ray, "kuberay": _kuberay, "compose": _compose}[target]
    files = make(plan, out, options, choices)
    files["grafana/boute.json"] = to_json(dashboard())
    paths = []
    for name, content in sorted(files.items()):
        data = content.encode() if isinstance(content, str) else content
        write_bytes(out / name, data)
        paths.append(out / name)
    return paths


def _ray(plan: Path, out: Path, options: Path | None, choices: EmitOptions) -> Files:
    bundle = make_bundle(plan, options, weights=lambda _, folder: str(folder))
    there = choices.folder or str(out.absolute())
    folder = f"plan-{bundle.identity}"
    # What listens on all addresses is asked on this machine's own.
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bundle.options.host, bundle.options.host)
    return {
        **{f"{folder}/{name}": data for name, data in bundle.files.items()},
        "serve-config.yaml": to_yaml([serve_config(bundle, f"{there}/{folder}")]),
        "prometheus.yml": to_yaml([scrape_config(f"{host}:{bundle.options.port}")]),
    }


def _kuberay(plan: Path, out: Path, options: Path | None, choices: EmitOptions) -> Files:
    def weights(model: PlannedModel, folder: Path) -> str:
        if choices.weights_path is None:
            raise PlanError(
                f"the weights of {model.name} are in {folder}, which no pod has",
                where=f"models.{model.name}.served_by.folder",
                mend="put them into the image and say where with --weights-path, or use a "
                "huggingface_id",
            )
        return f"{choices.weights_path}/{model.name}"

    bundle = make_bundle(plan, options, weights=weights, listen=("0.0.0.0", kuberay.PORT))
    image, files = _image(bundle, choices)
    files["rayservice.yaml"] = kuberay.kuberay(
        bundle, image=image, gateway_class=choices.gateway_class, selectors=choices.selectors
    )
    files["prometheus.yml"] = to_yaml([scrape_config_in_kubernetes(kuberay.HEAD, kuberay.PORT)])
    return files


def _compose(plan: Path, out: Path, options: Path | None, choices: EmitOptions) -> Files:
    mounted: dict[str, Path] = {}

    def weights(model: PlannedModel, folder: Path) -> str:
        if choices.weights_path is not None:
            return f"{choices.weights_path}/{model.name}"
        mounted[model.name] = folder
        return f"{compose.WEIGHTS}/{model.name}"

    bundle = make_bundle(plan, options, weights=weights, listen=("0.0.0.0", compose.PORT))
    image, files = _image(bundle, choices)
    files |= {f"plan-{bundle.identity}/{name}": data for name, data in bundle.files.items()}
    files["docker-compose.yml"] = compose.compose(
        bundle, image=image, build="Dockerfile" in files, weights=mounted
    )
    files["prometheus.yml"] = to_yaml([scrape_config(f"boute:{compose.PORT}")])
    return files | compose.provisioning()


def _image(bundle: Bundle, choices: EmitOptions) -> tuple[str, Files]:
    """The image's name, and the Dockerfile of one that nobody named."""
    if choices.image is not None:
        return choices.image, {}
    return default_image(), {"Dockerfile": dockerfile(bundle)}
