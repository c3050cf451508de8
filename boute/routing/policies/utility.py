"""Utility: a query goes to the model whose answer is worth most beyond the price of its tokens.

A model k is worth q[k] - p[k] n[k] / 1000 on a query, q and n being the quality and the output
tokens that the router expects. Prices p, in quality per 1,000 tokens, are not negative and the
least is 0, which loses nothing: every division of the queries that prices of either sign can reach
is reached by such ones. Raise from 0, over and over, the price of a model that takes too much until
it takes what it should. Others then only get more, so a model whose price was raised never has too
little again; all have what they should when none has too much, and one was never raised, for else
all had enough and one too much at once. (An ascending auction with gross substitutes: Gul and
Stacchetti, Journal of Economic Theory 2000.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from boute.routing.policies.evidence import Evidence
from boute.routing.policies.policy import Bools, Queries, counts_of
from boute.workload.arrays import Floats, Ints

__all__ = ["OUT", "PER_TOKENS", "Utility", "worth_most"]

OUT: Final = 1e12
"""The price of a model that is never asked: one token of it outweighs any quality."""

PER_TOKENS: Final = 1000.0
"""Prices are for so many output tokens."""

# Rounds over the prices at most. Two models need one, and few families more than thirty.
_ROUNDS: Final = 200


def worth_most(quality: Floats, thousands: Floats, prices: Sequence[float] | Floats) -> Ints:
    """Index [M] of the best answer for its price, the cheaper model's where two are level.

    `quality` is expected, `thousands` are of expected output tokens, [M, K] both; `prices` [K].
    """
    worth = quality - np.asarray(prices) * thousands
    return np.asarray(worth.argmax(axis=1), dtype=np.int64)


class Utility:
    """The policy whose setting are prices [K]."""

    def __init__(self, evidence: Evidence) -> None:
        if evidence.quality is None or evidence.output_tokens is None:
            raise ValueError("utility needs predictions of quality and output tokens")
        self._quality = evidence.quality
        self._thousands = evidence.output_tokens / PER_TOKENS

    def setting_for(self, fractions: Sequence[float] | Floats) -> Floats:
        """The prices at which the models have these shares."""
        counts = counts_of(fractions, len(self._quality))
        prices = np.full(len(counts), OUT)
        served = np.flatnonzero(counts)
        prices[served] = _prices(
            self._quality[:, served], self._thousands[:, served], counts[served]
        )
        return prices

    def answers(self, setting: Sequence[float] | Floats) -> Ints:
        """Index [M] of the model that is worth most."""
        return worth_most(self._quality, self._thousands, setting)

    def asked(self, setting: Sequence[float] | Floats) -> Bools:
        """Who answers, and nobody else [M, K]."""
        return np.asarray(self.answers(setting)[:, None] == np.arange(len(setting)))

    def closed(self, setting: Floats, loads: Floats) -> Floats:
        """Models without load are priced out."""
        return np.where(loads > 0.0, setting, OUT)

    def part(self, setting: Sequence[float] | Floats, model: int) -> tuple[float, ...]:
        """All prices: a model takes what the others are not worth more on."""
        del model
        return tuple(float(price) for price in setting)

    def queries(self, part: tuple[float, ...], model: int) -> Queries:
        """The queries on which the model is worth most."""
        mine = self.answers(part) == model
        return Queries(mine, mine, streams=True)


def _prices(quality: Floats, thousands: Floats, counts: Ints) -> Floats:
    """Prices [S] of S models that take so many of the queries each; the best that were passed."""
    rows, models = quality.shape
    prices = best = np.zeros(models)
    least = rows + 1
    # A column a model, which is read as a whole.
    quality, thousands = np.asfortranarray(quality), np.asfortranarray(thousands)
    worth = quality.copy(order="F")
    for _ in range(_ROUNDS):
        taken = np.bincount(worth.argmax(axis=1), minlength=models)
        off = int(np.abs(taken - counts).sum())
        if off < least:
            least, best = off, prices.copy()
        if off == 0 or models == 1:
            break
        before = prices.copy()
        for model in range(models):
            rest = _best_of_others(worth, model)
            worst = (quality[:, model] - rest) / thousands[:, model]
            if np.count_nonzero(worst > prices[model]) <= counts[model]:
                continue
            prices[model] = max(_between(worst, int(counts[model])), prices[model])
            worth[:, model] = quality[:, model] - prices[model] * thousands[:, model]
        if np.array_equal(prices, before):
            break
    return best


def _best_of_others(worth: Floats, model: int) -> Floats:
    """What the best other model is worth on each query [M]; nothing beats a model alone."""
    rest = np.full(len(worth), -np.inf)
    for other in range(worth.shape[1]):
        if other != model:
            np.maximum(rest, worth[:, other], out=rest)
    return rest


def _between(values: Floats, count: int) -> float:
    """A number that `count` of the values exceed, or as near to that as equal ones allow."""
    place = len(values) - count
    at = np.partition(values, place)[place]
    above, up_to = np.count_nonzero(values > at), np.count_nonzero(values >= at)
    if count - above < up_to - count and above > 0:
        return float(0.5 * (at + values[values > at].min()))
    if up_to == len(values):
        return float(at) - 1.0
    return float(0.5 * (values[values < at].max() + at))
