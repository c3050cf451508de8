from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from boute.metrics import METRICS, MIGRATION
from boute.spec import Targets

OTHERS = {"quality_min", "budget_per_hour", "moved_gpus_max", "migration_max_s"}


def test_every_latency_target_is_a_metric_and_no_target_is_forgotten() -> None:
    targets = Targets.model_validate(
        dict.fromkeys(Targets.model_fields, 0.5) | {"moved_gpus_max": 1}
    )
    assert set(targets.latency_limits()) == set(Targets.model_fields) - OTHERS
    assert set(targets.limits()) == set(Targets.model_fields)
    assert {metric for metric, _ in targets.limits().values()} <= set(METRICS)
    assert set(targets.migration_limits()) == set(MIGRATION)


@given(
    st.dictionaries(
        st.sampled_from(sorted(set(Targets.model_fields) - OTHERS)),
        st.floats(0.001, 100),
    )
)
def test_a_request_has_to_meet_the_strictest_limit_of_each_latency(
    given_limits: dict[str, float],
) -> None:
    limits = Targets.model_validate(given_limits).request_limits()
    assert set(limits) == {name.split("_")[0] for name in given_limits}
    for latency, limit in limits.items():
        assert limit == min(v for name, v in given_limits.items() if name.startswith(latency))
