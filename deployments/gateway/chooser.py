"""Which model answers a query, which of its pools first, and who is asked when that one fails.

Nothing here waits, and nothing but the turns of the pools changes: one chooser is one setting of
the routing, and is replaced as a whole.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from boute.deployments.gateway.bodies import Query
from boute.deployments.gateway.errors import not_found
from boute.deployments.gateway.given import given_to
from boute.deployments.gateway.pools import PoolOrder
from boute.deployments.gateway.utility import Utility
from boute.deployments.live import LiveConfig
from boute.deployments.options import KeyLimits
from boute.errors import nearest
from boute.routing.encoders.encoder import Queries
from boute.routing.policies.cascade import ladder
from boute.routing.router import Router

__all__ = ["MAX_ATTEMPTS", "ROUTED", "Attempt", "Choice", "Chooser", "Rung"]

ROUTED: Final = "boute"
MAX_ATTEMPTS: Final = 6
# Doubled each time: as long as it takes Ray Serve to notice that a replica is gone.
FIRST_PAUSE_S: Final = 0.1

_DIAL: Final = re.compile(r"boute-([01](?:\.[0-9]{1,9})?)")


@dataclass(frozen=True, slots=True)
class Rung:
    """A model of a cascade. An answer whose confidence is below `least` is not given."""

    model: str
    least: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The model and the pool that a query goes to first. `routed`: another model may answer too.

    In a cascade the answer is checked: where its confidence is below `least` the first model in
    `above` is asked. What has no model above it is not checked.
    """

    model: str
    pool: str
    score: float | None
    routed: bool
    least: float = 0.0
    above: tuple[Rung, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A pool to ask. With `pause_s` it was asked before, and is worth it if it broke then."""

    model: str
    pool: str
    pause_s: float | None = None


class Chooser:
    """A setting of the routing: `live`, and the router that it names, if any.

    Raise DataError for a router that cannot price the models of the plan.
    """

    def __init__(self, live: LiveConfig, router: Router | None) -> None:
        routing = live.routing
        names = routing.models
        by_model = {name: [pool for pool in live.pools if pool.model == name] for name in names}
        self._orders = {name: PoolOrder(pools) for name, pools in by_model.items() if pools}
        self._planned = names
        # Where a model has no pools, the next larger that has some; the last for the rest.
        served = [index for index, name in enumerate(names) if name in self._orders]
        self._answering = [
            names[next((other for other in served if other >= index), served[-1])]
            for index in range(len(names))
        ]
        # Whom the other policies ask: those that the plan gives queries to.
        self._asked = [index for index in served if routing.asked[index] > 0] or served
        self._policy = routing.policy
        self._plain = routing.setting
        self._dial = [(step.quality, step.setting) for step in routing.dial]
        self._router = router
        self._utility: Utility | None = None
        if self._policy == "utility" and router is not None and router.takes != "given":
            self._utility = Utility(router, [names[index] for index in self._asked], self._asked)

    @property
    def models(self) -> list[str]:
        """Models that can be asked for by name, cheapest first."""
        return list(self._orders)

    def serves(self, asked: str, limits: KeyLimits | None) -> bool:
        """Whether a name is one that a key with these limits can ask for."""
        dialled = _dialled(asked)
        name = ROUTED if dialled is not None and asked not in self._orders else asked
        known = name == ROUTED or name in self._orders
        return known and (limits is None or limits.models is None or name in limits.models)

    def choose(
        self, query: Query, headers: Mapping[bytes, bytes], limits: KeyLimits | None
    ) -> Choice:
        """The model and pool of a query.

        Raise RequestError: 404 for a model that is not served or not to this key, 400 for a
        malformed x-boute-score or x-boute-features.
        """
        asked = query.model
        if not self.serves(asked, limits):
            raise not_found(self.unknown(asked, limits))
        if asked != ROUTED and asked in self._orders:
            return Choice(asked, self._orders[asked].turn(), None, routed=False)
        setting = self._setting(asked, limits)
        if self._policy == "cascade":
            return self._first_of(self._ladder(setting))
        queries = given_to(self._router, query.text, headers) if setting else None
        if self._policy == "utility":
            model, score = self._worth_most(setting, queries)
        else:
            score = None if queries is None else self._score(queries)
            model = self._answering[-1 if score is None else bisect_left(setting, score)]
        return Choice(model, self._orders[model].turn(), score, routed=True)

    def next(self, choice: Choice) -> Choice:
        """Where a query of a cascade goes from an answer that is not sure enough."""
        return self._first_of(choice.above)

    def attempts(self, choice: Choice) -> Iterator[Attempt]:
        """Whom to ask, one after the other, until one answers; at most MAX_ATTEMPTS.

        The pools of the model; the first again, where Ray Serve now sees another replica; for a
        routed query the pools of larger models in order of cost; and the first again. Whoever is
        checked has a model above it, which is next where all its own pools fail.
        """
        model, pool = choice.model, choice.pool
        pauses = (FIRST_PAUSE_S * 2**number for number in itertools.count())
        again = (Attempt(model, pool, pause_s) for pause_s in pauses)
        larger = self._larger(model) if choice.routed else iter(())
        others = (Attempt(model, other) for other in self._orders[model].others(pool))
        first = [Attempt(model, pool)]
        once_more = itertools.islice(again, 1)
        if choice.above:
            return itertools.chain(first, itertools.islice(others, MAX_ATTEMPTS - 2), once_more)
        everyone = itertools.chain(first, others, once_more, larger, again)
        return itertools.islice(everyone, MAX_ATTEMPTS)

    def _larger(self, model: str) -> Iterator[Attempt]:
        for name in self.models[self.models.index(model) + 1 :]:
            first = self._orders[name].turn()
            yield Attempt(name, first)
            yield from (Attempt(name, other) for other in self._orders[name].others(first))

    def _setting(self, asked: str, limits: KeyLimits | None) -> Sequence[float]:
        """Thresholds or prices for a routed query: the plan's, or those of the dial."""
        quality = _dialled(asked)
        if asked == ROUTED:
            quality = None if limits is None else limits.quality
        if quality is None or not self._dial:
            return self._plain
        step = bisect_left(self._dial, quality, key=lambda step: step[0])
        return self._dial[min(step, len(self._dial) - 1)][1]

    def _score(self, queries: Queries) -> float:
        assert self._router is not None
        return float(self._router.score(queries)[0])

    def _worth_most(
        self, prices: Sequence[float], queries: Queries | None
    ) -> tuple[str, float | None]:
        """The model that is worth its price, and the query's score.

        The dearest answers what there is no telling of.
        """
        names, router = self._planned, self._router
        if router is None or queries is None:
            return names[self._asked[-1]], None
        encoded = router.encoder.encode(queries)
        place = -1 if self._utility is None else self._utility.best(encoded, prices)
        return names[self._asked[place]], float(router.score_encoded(encoded)[0])

    def _ladder(self, thresholds: Sequence[float]) -> Sequence[Rung]:
        """The models of a cascade in the order in which they are asked.

        One whose answers all pass is the last, and one whose answers never can is left out.
        """
        least = [thresholds[index] for index in self._asked[:-1]]
        *checked, last = (self._asked[step] for step in ladder(least))
        rungs = [Rung(self._planned[index], thresholds[index]) for index in checked]
        return [*rungs, Rung(self._planned[last], 0.0)]

    def _first_of(self, ladder: Sequence[Rung]) -> Choice:
        first, *above = ladder
        pool = self._orders[first.model].turn()
        return Choice(first.model, pool, None, True, first.least, tuple(above))

    def unknown(self, asked: str, limits: KeyLimits | None) -> str:
        """Why a name that is not served is not, and the nearest that is."""
        known = [name for name in (ROUTED, *self.models) if self.serves(name, limits)]
        if asked in self._planned and asked not in self._orders:
            problem = f"the plan has no pool for the model {asked}"
        else:
            problem = f"the model {asked[:100]!r} does not exist, or is not open to this key"
        return f"{problem}; {nearest(asked[:100], known, 'models')}"


def _dialled(asked: str) -> float | None:
    """The quality in a name such as boute-0.8; None where it is not such a name."""
    found = _DIAL.fullmatch(asked)
    quality = None if found is None else float(found.group(1))
    return quality if quality is not None and quality <= 1 else None
