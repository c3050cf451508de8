from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fit_power import fit
from boute.performance import step
from boute.performance.build import build_replica
from boute.performance.energy import add_energy, at_clock
from boute.performance.power import load_power, power_path
from boute.profiles.catalog import gpu_names, load_gpu, load_model
from boute.spec.family import ModelChoice
from boute.spec.model import Engine

DATA = Path(__file__).parents[2].parent / "shared/data"
CLOCKS = st.floats(0.4, 1.0)


def costs_of(gpu: str = "h100-sxm") -> np.ndarray:
    replica = build_replica(
        load_model("llama-3.1-8b", Path()),
        load_gpu(gpu, Path()),
        ModelChoice(name="llama-3.1-8b"),
        Engine(),
        tensor_parallel=1,
        pipeline_parallel=1,
        max_model_len=4096,
    )
    assert not isinstance(replica, str)
    return replica.costs


def power_w(costs: np.ndarray, tokens: int, sequences: int, context: float) -> float:
    """Mean power above idle of a step."""
    seconds = step.step_fixed_s(costs, tokens, sequences) + costs[step.CONTEXT_S] * context
    joules = step.step_fixed_j(costs, tokens, sequences) + costs[step.CONTEXT_J] * context
    return float(joules / seconds)


@pytest.mark.parametrize("gpu", gpu_names())
def test_every_gpu_has_power_with_an_error(gpu: str) -> None:
    power = load_power(gpu)
    assert power.weights < power.cache <= 1.0
    assert 0 < power.error < 0.5
    assert power.source
    assert power.error_source


def test_a_gpu_that_was_not_measured_has_a_wider_error() -> None:
    assert load_power("no-such-gpu") == load_power()
    assert load_power().error > max(load_power(name).error for name in ("a100-40gb", "h100-sxm"))
    assert power_path().name == "power.yaml"


@given(st.integers(1, 8192), st.integers(1, 512), st.floats(0, 1e6))
def test_a_step_draws_no_more_than_the_peak(tokens: int, sequences: int, context: float) -> None:
    card = load_gpu("h100-sxm", Path())
    drawn = power_w(costs_of(), max(tokens, sequences), sequences, context)
    assert 0 < drawn <= 1.01 * (card.peak_w - card.idle_w)


def test_reading_the_cache_and_arithmetic_draw_more_than_reading_weights() -> None:
    costs = costs_of()
    weights = power_w(costs, 1, 1, 0.0)
    assert power_w(costs, 64, 64, 500_000.0) > weights
    assert power_w(costs, 8192, 1, 0.0) > weights


@given(CLOCKS, CLOCKS, st.integers(1, 8192), st.integers(1, 512))
def test_a_lower_clock_takes_longer_and_draws_less(
    one: float, other: float, tokens: int, sequences: int
) -> None:
    low, high = (at_clock(costs_of(), clock, load_power()) for clock in sorted((one, other)))
    seconds = [step.step_fixed_s(costs, tokens, sequences) for costs in (low, high)]
    assert seconds[0] >= seconds[1] * (1 - 1e-12)
    assert low[step.BUSY_W] <= high[step.BUSY_W] * (1 + 1e-12)
    # What is bound by arithmetic draws less; how many joules it takes has a minimum in between.
    drawn = [costs[step.PAIR_J] / costs[step.PAIR_S] for costs in (low, high)]
    assert drawn[0] <= drawn[1] * (1 + 1e-12)


def test_the_top_clock_changes_nothing_and_reading_keeps_its_pace() -> None:
    costs, power = costs_of(), load_power("a40")
    np.testing.assert_allclose(at_clock(costs, 1.0, power), costs, rtol=1e-12)
    lower = at_clock(costs, 0.5, power)
    assert lower[step.WEIGHT_S] == costs[step.WEIGHT_S]
    assert lower[step.CONTEXT_S] == costs[step.CONTEXT_S]
    assert lower[step.TOKEN_S] == pytest.approx(2.0 * costs[step.TOKEN_S])
    dynamic = 0.5 * power.voltage_floor**2
    kept = power.arithmetic_static + (1 - power.arithmetic_static) * dynamic
    assert lower[step.PAIR_J] == pytest.approx(costs[step.PAIR_J] * kept / 0.5)


@pytest.mark.parametrize("clock", [0.0, 0.39, 1.01, float("nan")])
def test_clocks_that_were_not_measured_are_refused(clock: float) -> None:
    with pytest.raises(ValueError, match=r"0\.4 to 1"):
        at_clock(costs_of(), clock, load_power())


@pytest.mark.skipif(not (DATA / "perseus_dvfs").is_dir(), reason="the data is not here")
def test_the_shipped_power_is_that_of_the_fit(capsys: pytest.CaptureFixture[str]) -> None:
    """Shares depend on step times, which are fitted apart: a small change there may show here."""
    table = fit(DATA)
    assert table.gpus.keys() == {"a100-40gb", "a100-80gb", "a40", "h100-sxm"}
    for name, found in table.gpus.items():
        shipped = load_power(name)
        for key in ("weights", "cache", "arithmetic_static", "memory_static", "voltage_floor"):
            assert getattr(shipped, key) == pytest.approx(getattr(found, key), abs=0.03), name
        assert found.error <= 1.1 * shipped.error
    assert "left out" in capsys.readouterr().out


def test_energy_is_written_where_times_are() -> None:
    costs, power = np.zeros(step.N_COSTS), load_power()
    costs[step.PAIR_S], costs[step.CONTEXT_S], costs[step.HEAD_SEQUENCE_S] = 1e-9, 1e-8, 1e-5
    add_energy(costs, 100.0, power, token_s=1e-6)
    assert costs[step.BUSY_W] == 100.0 * power.weights
    assert costs[step.PAIR_J] == pytest.approx(1e-7)
    assert costs[step.CONTEXT_J] == pytest.approx(1e-6 * power.cache)
    assert costs[step.TOKEN_J] == pytest.approx(1e-4 * (1 - power.weights))
