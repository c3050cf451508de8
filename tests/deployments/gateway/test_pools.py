from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.gateway.pools import PoolOrder
from boute.deployments.live import LivePool

weights = st.lists(st.integers(1, 100), min_size=1, max_size=6)


def order(weights: list[int]) -> PoolOrder:
    total = sum(weights)
    return PoolOrder(
        [
            LivePool(name=str(at), model="m", weight=weight / total, gpu="l4", price_per_hour=1.0)
            for at, weight in enumerate(weights)
        ]
    )


@given(weights, st.integers(1, 300))
def test_no_pool_is_a_query_ahead_of_its_share(weights: list[int], queries: int) -> None:
    pools = order(weights)
    taken: Counter[str] = Counter()
    for asked in range(1, queries + 1):
        taken[pools.turn()] += 1
        for at, weight in enumerate(weights):
            assert taken[str(at)] < asked * weight / sum(weights) + 1


@given(weights)
def test_after_a_whole_round_every_pool_has_its_share(weights: list[int]) -> None:
    pools = order(weights)
    taken = Counter(pools.turn() for _ in range(10 * sum(weights)))
    for at, weight in enumerate(weights):
        # A tie decided the other way by rounding moves one query.
        assert abs(taken[str(at)] - 10 * weight) <= 1


def test_turns_alternate_and_do_not_cluster() -> None:
    pools = order([5, 1, 1])
    assert "".join(pools.turn() for _ in range(7)) == "0010200"


def test_the_others_come_by_weight() -> None:
    assert order([1, 3, 2]).others("2") == ["1", "0"]
    assert order([1]).others("0") == []
