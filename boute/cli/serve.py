"""`boute serve PLAN` brings a plan up on Ray Serve; `boute apply PLAN` changes it while it runs."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from boute.errors import InputError, ServingError

if TYPE_CHECKING:
    from boute.deployments.cluster import Cluster, Running
    from boute.deployments.fleet import BuildArguments, Fleet

__all__ = ["apply", "serve"]

ADDRESS: Final = "http://127.0.0.1:8265"

OptionsFile = Annotated[
    Path | None, typer.Option("--options", help="A serve.yaml: host, limits, keys, autoscaling.")
]
Wait = Annotated[
    float, typer.Option("--wait", min=1, help="Seconds that the fleet may take to come up.")
]


def serve(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")],
    options: OptionsFile = None,
    engine: Annotated[
        Literal["simulated"] | None,
        typer.Option("--engine", help="Simulate every model, for a dry run without GPUs."),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Port to listen on.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option("--address", help="A running Ray cluster's dashboard; else one is started."),
    ] = None,
    wait: Wait = 1800.0,
) -> None:
    """Serve a plan behind an OpenAI API until interrupted."""
    from boute.deployments.cluster import Cluster
    from boute.deployments.fleet import BuildArguments, load_fleet, pool_settings
    from boute.deployments.local import local_cluster

    _need_ray()
    arguments = BuildArguments(
        plan=str(plan.absolute()),
        options=None if options is None else str(options.absolute()),
        engine=engine,
    )
    fleet = load_fleet(arguments)
    pool_settings(fleet)
    listen = (host or fleet.options.host, port or fleet.options.port)
    if address is not None:
        _bring_up(Cluster(address), arguments, fleet, listen, wait)
        return
    with local_cluster(fleet.options) as found:
        cluster = Cluster(found)
        stop = _stop_signal()
        try:
            _bring_up(cluster, arguments, fleet, listen, wait)
            stop.wait()
        finally:
            _shut_down(cluster, fleet.options.limits.drain_s)


def apply(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan to go to.")],
    options: OptionsFile = None,
    address: Annotated[
        str, typer.Option("--address", envvar="RAY_DASHBOARD_ADDRESS", help="Ray's dashboard.")
    ] = ADDRESS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    wait: Wait = 60.0,
) -> None:
    """Change thresholds, weights and keys of a running fleet; say what needs a redeployment."""
    from boute.cli.console import note
    from boute.deployments.change import plan_change
    from boute.deployments.cluster import Cluster

    _need_ray()
    cluster = Cluster(address)
    running = cluster.running()
    if running is None:
        raise ServingError("no plan of boute runs there", where=address, mend=f"boute serve {plan}")
    change = plan_change(running, plan, options)
    print("\n".join(change.lines))
    if change.kind == "redeploy":
        raise InputError(
            "only routing, weights and keys change live, and more than that differs",
            where=str(plan),
            mend=f"boute serve {plan}",
        )
    if dry_run or change.kind == "nothing":
        return
    cluster.set_live(change.live)
    cluster.wait(live=change.live, limit_s=wait, report=lambda _: None)
    note(f"applied {change.live.plan}; no replica was restarted")


def _need_ray() -> None:
    import importlib.util

    if importlib.util.find_spec("ray") is None:
        raise ServingError("Ray is not installed", mend="pip install 'ray[serve]'")


def _bring_up(
    cluster: Cluster, arguments: BuildArguments, fleet: Fleet, listen: tuple[str, int], wait: float
) -> None:
    from boute.cli.console import note
    from boute.routing.router import QUERY_HEADERS

    host, port = listen
    cluster.deploy(arguments, fleet.live, host=host, port=port)
    seen: set[str] = set()

    def report(running: Running) -> None:
        for name, status in running.deployments.items():
            if (line := f"{name}: {status.lower()}") not in seen:
                seen.add(line)
                note(line)

    cluster.wait(live=fleet.live, limit_s=wait, report=report)
    header = QUERY_HEADERS.get(fleet.router_takes or "text")
    if header is not None and len(fleet.plan.routing.models) > 1:
        note(
            f"the router of this plan does not read texts: clients send {header}, "
            "and queries without it go to the best model"
        )
    note(f"serving {fleet.plan.name} at http://{host}:{port}/v1 (Ray at {cluster.address})")


def _stop_signal() -> threading.Event:
    """Set by SIGTERM and SIGINT, which end the server in order. Ray's own handlers go."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _shut_down(cluster: Cluster, drain_s: float) -> None:
    """Let requests under way finish, within bounds, and end the fleet."""
    from boute.cli.console import note

    note(f"draining for up to {drain_s:g} s")
    try:
        cluster.delete(limit_s=drain_s + 10.0)
        cluster.shut_down()
    except ServingError as error:
        note(str(error))
