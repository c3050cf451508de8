"""A cascade: models answer in order of cost, until one is sure enough of its own answer.

The answer of model k is given where its confidence is at least thresholds[k]. A threshold of 0 or
less asks nobody further, one above 1 leaves the model out, and the dearest answers what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from boute.routing.policies.evidence import Evidence
from boute.routing.policies.policy import Bools, Queries, counts_of
from boute.workload.arrays import Floats, Ints

__all__ = ["ALWAYS", "NEVER", "Cascade", "ladder"]

ALWAYS: Final = 0.0
NEVER: Final = 2.0


def ladder(thresholds: Sequence[float] | Floats) -> list[int]:
    """The models that are asked, in order; the last one's answers are not checked."""
    asked: list[int] = []
    for model, least in enumerate(thresholds):
        if least <= ALWAYS:
            return [*asked, model]
        if least <= 1.0:
            asked.append(model)
    return [*asked, len(thresholds)]


class Cascade:
    """The policy whose setting are thresholds [K - 1] on the models' own confidence."""

    def __init__(self, evidence: Evidence) -> None:
        if evidence.confidence is None:
            raise ValueError("a cascade needs the confidence of the models in their answers")
        self._confidence = evidence.confidence

    def setting_for(self, fractions: Sequence[float] | Floats) -> Floats:
        """Of each model the quantile of its confidence among the queries that reach it."""
        counts = counts_of(fractions, len(self._confidence))
        last = int(np.flatnonzero(counts)[-1])
        thresholds = np.full(len(counts) - 1, NEVER)
        left = np.arange(len(self._confidence))
        for model in range(last):
            # What ties gave to a cheaper model, or kept from it, the next one makes up for.
            wanted = int(counts[: model + 1].sum()) - (len(self._confidence) - len(left))
            if counts[model] == 0 or wanted <= 0:
                continue
            thresholds[model] = _least(self._confidence[left, model], wanted)
            left = left[self._confidence[left, model] < thresholds[model]]
            if thresholds[model] <= ALWAYS:
                return thresholds
        if last < len(thresholds):
            thresholds[last] = ALWAYS
        return thresholds

    def answers(self, setting: Sequence[float] | Floats) -> Ints:
        """Index [M] of the first model that is sure enough."""
        *checked, last = ladder(setting)
        answers = np.full(len(self._confidence), last)
        for model in reversed(checked):
            answers[self._confidence[:, model] >= setting[model]] = model
        return answers

    def asked(self, setting: Sequence[float] | Floats) -> Bools:
        """The models of the ladder up to the one that answers [M, K]."""
        steps = np.zeros(len(setting) + 1, dtype=np.bool_)
        steps[ladder(setting)] = True
        return steps & (np.arange(len(steps)) <= self.answers(setting)[:, None])

    def closed(self, setting: Floats, loads: Floats) -> Floats:
        """The last model with load answers all that reaches it."""
        last = int(np.flatnonzero(loads)[-1])
        closed = setting.copy()
        if last < len(closed):
            closed[last] = ALWAYS
            closed[last + 1 :] = NEVER
        return closed

    def part(self, setting: Sequence[float] | Floats, model: int) -> tuple[float, ...]:
        """The thresholds of the cheaper models, and its own."""
        return tuple(float(least) for least in setting[: model + 1])

    def queries(self, part: tuple[float, ...], model: int) -> Queries:
        """What no cheaper model answers, and what of it the model is sure of."""
        reached = np.ones(len(self._confidence), dtype=np.bool_)
        for cheaper, least in enumerate(part[:model]):
            reached &= self._confidence[:, cheaper] < least
        streams = model == len(part) or part[model] <= ALWAYS
        if streams:
            return Queries(reached, reached, streams=True)
        return Queries(reached, reached & (self._confidence[:, model] >= part[model]), False)


def _least(confidence: Floats, count: int) -> float:
    """The threshold that `count` of the answers keep, or as near to that as equal ones allow."""
    ordered = np.sort(confidence)[::-1]
    at = ordered[min(count, len(ordered)) - 1]
    above = int(np.searchsorted(-ordered, -at, side="left"))
    up_to = int(np.searchsorted(-ordered, -at, side="right"))
    taken = above if count - above < up_to - count else up_to
    if taken == len(ordered):
        return ALWAYS
    return NEVER if taken == 0 else float(ordered[taken - 1])
