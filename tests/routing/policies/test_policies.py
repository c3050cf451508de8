"""Every policy against a slow plain reference, on evidence drawn at random, ties included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.gateway.chooser import Chooser
from boute.routing.policies.cascade import Cascade, ladder
from boute.routing.policies.evidence import Evidence
from boute.routing.policies.of import policy_of
from boute.routing.policies.policy import Policy
from boute.routing.policies.thresholds import Thresholds
from boute.routing.policies.utility import OUT, Utility
from boute.workload.arrays import Floats

POLICIES: dict[str, Callable[[Evidence], Policy]] = {
    "thresholds": Thresholds,
    "utility": Utility,
    "cascade": Cascade,
}
every_policy = pytest.mark.parametrize("name", POLICIES)
seeds = st.integers(0, 2**32)
models = st.integers(1, 5)


def evidence_of(seed: int, count: int, rows: int = 60, *, ties: bool = False) -> Evidence:
    rng = np.random.default_rng(seed)
    quality, confidence = rng.random((rows, count)), rng.random((rows, count))
    if ties:
        quality, confidence = np.round(quality, 1), np.round(confidence, 1)
    tokens = np.exp(rng.normal(5.0, 1.0, (rows, count)))
    return Evidence(rng.random(rows), quality, tokens, confidence)


def fractions_of(seed: int, count: int) -> Floats:
    """Shares in whole percents, some of them 0."""
    rng = np.random.default_rng([7, seed])
    cuts = np.sort(rng.integers(0, 101, count - 1)) / 100.0
    return np.diff(np.concatenate([[0.0], cuts, [1.0]]))


def answered(policy: Policy, setting: Floats, count: int) -> Floats:
    return np.bincount(policy.answers(setting), minlength=count)


@every_policy
@given(seed=seeds, count=models)
def test_shares_are_met_to_the_nearest_row(name: str, seed: int, count: int) -> None:
    evidence, fractions = evidence_of(seed, count), fractions_of(seed, count)
    policy = POLICIES[name](evidence)
    found = answered(policy, policy.setting_for(fractions), count)
    assert np.abs(np.cumsum(found) - np.cumsum(fractions) * len(evidence)).max() <= 0.5 + 1e-9
    assert not found[fractions == 0.0].any()


@every_policy
@given(seed=seeds, count=models, ties=st.booleans())
def test_who_answers_was_asked_and_parts_say_the_same(
    name: str, seed: int, count: int, ties: bool
) -> None:
    policy = POLICIES[name](evidence_of(seed, count, ties=ties))
    setting = policy.setting_for(fractions_of(seed, count))
    answers, asked = policy.answers(setting), policy.asked(setting)
    assert asked[np.arange(len(answers)), answers].all()
    for model in range(count):
        mine = policy.queries(policy.part(setting, model), model)
        if asked[:, model].any():
            assert np.array_equal(mine.asked, asked[:, model])
            assert np.array_equal(mine.answered, answers == model)
        if name != "cascade":
            assert np.array_equal(asked[:, model], answers == model)


@every_policy
@given(seed=seeds, count=models)
def test_closing_models_without_load_leaves_every_query_as_it_is(
    name: str, seed: int, count: int
) -> None:
    policy = POLICIES[name](evidence_of(seed, count))
    setting = policy.setting_for(fractions_of(seed, count))
    loads = policy.asked(setting).mean(axis=0)
    closed = policy.closed(setting, loads)
    assert np.array_equal(policy.answers(closed), policy.answers(setting))
    assert np.array_equal(policy.asked(closed), policy.asked(setting))


@every_policy
@pytest.mark.parametrize("fractions", [[0.5, 0.6], [-0.1, 1.1]])
def test_what_is_no_point_of_the_simplex_is_refused(name: str, fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        POLICIES[name](evidence_of(0, 2)).setting_for(fractions)


@pytest.mark.parametrize("name", ["utility", "cascade"])
def test_a_policy_without_its_evidence_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="needs"):
        policy_of(name, Evidence(np.zeros(4)))  # type: ignore[arg-type]


@given(seeds, models)
def test_utility_takes_the_model_that_is_worth_most(seed: int, count: int) -> None:
    evidence = evidence_of(seed, count)
    assert evidence.quality is not None
    assert evidence.output_tokens is not None
    policy = Utility(evidence)
    prices = policy.setting_for(fractions_of(seed, count))
    for row, answer in enumerate(policy.answers(prices)):
        worth = [
            evidence.quality[row, k] - prices[k] * evidence.output_tokens[row, k] / 1000.0
            for k in range(count)
        ]
        assert answer == worth.index(max(worth))


@given(seeds, models, st.booleans())
def test_prices_are_not_negative_and_the_least_is_nothing(
    seed: int, count: int, ties: bool
) -> None:
    prices = Utility(evidence_of(seed, count, ties=ties)).setting_for(fractions_of(seed, count))
    assert prices.min() == 0.0
    assert prices[prices < OUT].max() <= 1e3


def slow_cascade(evidence: Evidence, thresholds: Floats) -> tuple[list[int], list[list[int]]]:
    """Whose answer each query is given, and who was asked, one query after the other."""
    assert evidence.confidence is not None
    answers, asked = [], []
    for row in range(len(evidence)):
        passed: list[int] = []
        for model in range(len(thresholds) + 1):
            is_last = model == len(thresholds)
            if not is_last and thresholds[model] > 1.0:
                continue
            passed.append(model)
            if is_last or evidence.confidence[row, model] >= thresholds[model]:
                break
        answers.append(passed[-1])
        asked.append(passed)
    return answers, asked


@given(seeds, models, st.booleans())
def test_a_cascade_asks_one_model_after_the_other(seed: int, count: int, ties: bool) -> None:
    evidence = evidence_of(seed, count, ties=ties)
    policy = Cascade(evidence)
    thresholds = policy.setting_for(fractions_of(seed, count))
    answers, asked = slow_cascade(evidence, thresholds)
    assert policy.answers(thresholds).tolist() == answers
    assert [np.flatnonzero(row).tolist() for row in policy.asked(thresholds)] == asked


@given(st.lists(st.sampled_from([0.0, 0.3, 1.0, 1.5, 2.0]), max_size=4))
def test_the_ladder_is_that_of_the_ingress(thresholds: list[float]) -> None:
    names = [f"m{place}" for place in range(len(thresholds) + 1)]
    chooser = object.__new__(Chooser)
    chooser._asked, chooser._planned = list(range(len(names))), names
    served = [rung.model for rung in chooser._ladder(thresholds)]
    assert [names[place] for place in ladder(thresholds)] == served
