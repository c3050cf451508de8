"""`boute emit PLAN`: write a plan for Ray Serve, KubeRay or Docker Compose to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["emit"]


def emit(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")],
    target: Annotated[
        Literal["ray", "kuberay", "compose"], typer.Option("--target", help="What is to run it.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")],
    options: Annotated[
        Path | None, typer.Option("--options", help="A serve.yaml: limits, keys, autoscaling.")
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option("--folder", help="ray: where the cluster has what is in --out, if elsewhere."),
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", help="Container image; else a Dockerfile is written.")
    ] = None,
    weights_path: Annotated[
        str | None,
        typer.Option("--weights-path", help="Folder in the image with a folder for each model."),
    ] = None,
    gateway_class: Annotated[
        str, typer.Option("--gateway-class", help="kuberay: GatewayClass of upgrades.")
    ] = "istio",
    node_selector: Annotated[
        list[str] | None,
        typer.Option(
            "--node-selector", metavar="GPU=LABEL=VALUE", help="kuberay: nodes of a GPU type."
        ),
    ] = None,
) -> None:
    """Write a plan as files for others to run, with a dashboard; nothing is deployed.

    ray: a config file for `serve deploy`. kuberay: a RayService manifest. compose: a Compose file
    for one machine, with Prometheus and Grafana.
    """
    from boute.deployments.emit.write import EmitOptions
    from boute.deployments.emit.write import emit as write

    choices = EmitOptions(
        folder=folder,
        image=image,
        weights_path=weights_path,
        gateway_class=gateway_class,
        selectors=_selectors(node_selector or []),
    )
    for path in write(plan, target, out, options, choices):
        print(path)


def _selectors(given: list[str]) -> dict[str, dict[str, str]]:
    """Labels and their values by GPU type; one type may be given several."""
    from boute.errors import InputError

    found: dict[str, dict[str, str]] = {}
    for item in given:
        gpu, _, rest = item.partition("=")
        label, _, value = rest.partition("=")
        if not (gpu and label and value):
            raise InputError(
                f"{item!r} is not GPU=LABEL=VALUE",
                where="--node-selector",
                mend="as in l40s=cloud.google.com/gke-accelerator=nvidia-l40s",
            )
        found.setdefault(gpu, {})[label] = value
    return found
