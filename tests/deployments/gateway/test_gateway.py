from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boute.deployments.gateway.errors import RequestError
from boute.deployments.gateway.gateway import Gateway
from boute.deployments.options import ServingOptions
from boute.errors import BouteError, DataError, PlanError


@pytest.fixture
def gateway(pool: Callable[[str], Any]) -> Gateway:
    names = ("small-a", "mid-a", "mid-b", "big-a")
    return Gateway(ServingOptions(), {name: pool(name) for name in names})


def test_before_its_first_setting_it_refuses(gateway: Gateway) -> None:
    with pytest.raises(RequestError) as refused:
        gateway.state()
    assert refused.value.status == 503
    assert dict(refused.value.headers) == {b"retry-after": b"1"}


def test_a_setting_that_cannot_be_had_leaves_the_old_one(
    gateway: Gateway, live: Callable[..., Any], tmp_path: Path
) -> None:
    config = live()
    gateway.reconfigure(config)
    state = gateway.state()
    strange = config.pools[0].model_copy(update={"name": "small-b"})
    other = config.routing.model_copy(update={"router_hash": "1" * 64})
    wrong: list[tuple[dict[str, Any], type[BouteError]]] = [
        ({"pools": [*config.pools, strange]}, PlanError),
        ({"pools": []}, PlanError),
        ({"router_folder": str(tmp_path / "none")}, DataError),
        ({"routing": other}, DataError),
    ]
    for change, kind in wrong:
        with pytest.raises(kind):
            gateway.reconfigure(config.model_copy(update=change))
        assert gateway.state() is state


def test_after_closing_it_refuses(gateway: Gateway, live: Callable[..., Any]) -> None:
    gateway.reconfigure(live())
    asyncio.run(gateway.close())
    with pytest.raises(RequestError) as refused:
        gateway.state()
    assert refused.value.code == "draining"
    asyncio.run(gateway.close())
