"""Deploying to a Ray cluster and changing what runs there, through Ray Serve's REST API.

The API is that of `serve deploy`, so a cluster on this machine and one far away are one path. An
application's arguments stay what they were when only its `user_config` changes, and then Ray Serve
calls `reconfigure` on the running ingress and restarts nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from boute.deployments.fleet import BuildArguments
from boute.deployments.live import LiveConfig
from boute.errors import ServingError

__all__ = ["INGRESS", "Cluster", "Running", "application_config"]

APPLICATION: Final = "boute"
INGRESS: Final = "Ingress"
IMPORT_PATH: Final = "boute.deployments.app:build"
POLL_S: Final = 0.5
_FAILED: Final = ("DEPLOY_FAILED", "UNHEALTHY")


@dataclass(frozen=True)
class Running:
    """What runs: the arguments it was built from, its live setting, and its state."""

    arguments: BuildArguments
    live: LiveConfig | None
    status: str
    message: str
    deployments: dict[str, str]


def application_config(arguments: BuildArguments, live: LiveConfig) -> dict[str, Any]:
    """The application in a Serve config: what it is built from, and its ingress's setting."""
    return {
        "name": APPLICATION,
        "route_prefix": "/",
        "import_path": IMPORT_PATH,
        "args": arguments.model_dump(mode="json", exclude_none=True),
        "deployments": [_ingress_config(live)],
    }


def _ingress_config(live: LiveConfig) -> dict[str, Any]:
    return {"name": INGRESS, "user_config": live.model_dump(mode="json")}


class Cluster:
    """A Ray cluster by the address of its dashboard, as in `http://127.0.0.1:8265`."""

    def __init__(self, address: str) -> None:
        """Raise ServingError when nothing answers there."""
        _present_token()
        from ray.dashboard.modules.serve.sdk import ServeSubmissionClient
        from ray.exceptions import AuthenticationError

        self.address = address
        try:
            self._client = ServeSubmissionClient(address)
        except AuthenticationError:
            raise ServingError(
                "the Ray cluster wants a token that is not here",
                where=address,
                mend="set RAY_AUTH_TOKEN to the cluster's token",
            ) from None
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ServingError(
                f"no Ray cluster answers: {_last_line(error)}",
                where=address,
                mend="start one with `boute serve` or `ray start --head`",
            ) from None

    def running(self) -> Running | None:
        """The application, or None where there is none."""
        return _running(self._details())

    def deploy(self, arguments: BuildArguments, live: LiveConfig, *, host: str, port: int) -> None:
        """Set what is to run; other applications of the cluster stay. Raise ServingError."""
        mine = application_config(arguments, live)
        self._put([mine], {"http_options": {"host": host, "port": port}})

    def set_live(self, live: LiveConfig) -> None:
        """Change the setting of what runs, and nothing else. Raise ServingError."""
        config = self._configs()[APPLICATION]
        parts = [part for part in config.get("deployments", []) if part["name"] != INGRESS]
        self._put([{**config, "deployments": [_ingress_config(live), *parts]}], {})

    def wait(
        self, *, live: LiveConfig, limit_s: float, report: Callable[[Running], None]
    ) -> Running:
        """Wait until all replicas run with this setting; raise ServingError when they will not."""
        end = time.monotonic() + limit_s
        while True:
            found = self.running()
            if found is not None:
                report(found)
                if found.status in _FAILED:
                    raise ServingError(
                        f"the fleet does not come up: {found.message}",
                        where=self.address,
                        mend="the replicas' logs are in Ray's session folder, under logs/serve",
                    )
                if found.status == "RUNNING" and found.live == live:
                    return found
            if time.monotonic() > end:
                raise ServingError(f"the fleet is not up after {limit_s:.0f} s", where=self.address)
            time.sleep(POLL_S)

    def delete(self, *, limit_s: float) -> None:
        """End the application: replicas finish what they began. Raise ServingError after a limit.

        Other applications stay. Ray Serve's own way to end everything would take the proxies down
        first, and requests under way with them.
        """
        self._put([], {})
        self._wait_gone(limit_s)

    def shut_down(self) -> None:
        """End Ray Serve, with whatever still runs on it."""
        self._do(self._client.delete_applications)

    def _wait_gone(self, limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while self.running() is not None:
            if time.monotonic() > end:
                raise ServingError(f"the fleet still runs after {limit_s:.0f} s; it is cut off")
            time.sleep(POLL_S)

    def _configs(self) -> dict[str, dict[str, Any]]:
        """What was deployed of each application."""
        return {
            name: application["deployed_app_config"]
            for name, application in self._details().get("applications", {}).items()
            if application.get("deployed_app_config")
        }

    def _put(self, mine: list[dict[str, Any]], more: dict[str, Any]) -> None:
        """Have `mine` and the applications of others run, and nothing else."""
        others = [config for name, config in self._configs().items() if name != APPLICATION]
        config = {**more, "applications": [*others, *mine]}
        self._do(lambda: self._client.deploy_applications(config))

    def _details(self) -> dict[str, Any]:
        found: dict[str, Any] = self._do(self._client.get_serve_details)
        return found

    def _do(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ConnectionError, RuntimeError, OSError) as error:
            raise ServingError(_last_line(error), where=self.address) from None


def _running(details: dict[str, Any]) -> Running | None:
    application = details.get("applications", {}).get(APPLICATION)
    if application is None:
        return None
    config = application.get("deployed_app_config") or {}
    live = next(
        (
            deployment["user_config"]
            for deployment in config.get("deployments", [])
            if deployment["name"] == INGRESS and deployment.get("user_config")
        ),
        None,
    )
    return Running(
        arguments=BuildArguments.model_validate(config.get("args", {"plan": ""})),
        live=None if live is None else LiveConfig.model_validate(live),
        status=application["status"],
        message=_reason(application),
        deployments={
            name: deployment["status"]
            for name, deployment in application.get("deployments", {}).items()
        },
    )


def _reason(application: dict[str, Any]) -> str:
    """What Ray Serve says of a fleet that fails: of the deployment, where it is one's fault."""
    failed = [
        f"{name}: {_last_line(deployment.get('message', ''))}"
        for name, deployment in application.get("deployments", {}).items()
        if deployment["status"] in _FAILED
    ]
    return failed[0] if failed else _last_line(application.get("message", ""))


def _present_token() -> None:
    """Show the token of Ray's clusters where there is one.

    Ray starts clusters with token authentication, but its REST client only takes part when told to,
    before Ray is imported.
    """
    there = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ)
    if there or (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _last_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
