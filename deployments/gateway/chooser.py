"""Which model answers a query, which of its pools first, and who is asked when that one fails.

Nothing here waits, and nothing but the turns of the pools changes: one chooser is one setting of
the routing, and is replaced as a whole.
"""

from __future__ import annotations

import itertools
import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.deployments.gateway.bodies import Query
from boute.deployments.gateway.errors import RequestError, not_found
from boute.deployments.gateway.pools import PoolOrder
from boute.deployments.live import LiveConfig
from boute.deployments.options import KeyLimits
from boute.errors import nearest
from boute.routing.router import QUERY_HEADERS, Router

__all__ = ["MAX_ATTEMPTS", "ROUTED", "Attempt", "Choice", "Chooser"]

ROUTED: Final = "boute"
MAX_ATTEMPTS: Final = 6
# Doubled each time: as long as it takes Ray Serve to notice that a replica is gone.
FIRST_PAUSE_S: Final = 0.1

_DIAL: Final = re.compile(r"boute-([01](?:\.[0-9]{1,9})?)")
_MOST_FEATURES_CHARS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Choice:
    """The model and the pool that a query goes to first. `routed`: another model may answer too."""

    model: str
    pool: str
    score: float | None
    routed: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A pool to ask. With `pause_s` it was asked before, and is worth it if it broke then."""

    model: str
    pool: str
    pause_s: float | None = None


class Chooser:
    """A setting of the routing: `live`, and the router that it names, if any."""

    def __init__(self, live: LiveConfig, router: Router | None) -> None:
        names = live.routing.models
        by_model = {name: [pool for pool in live.pools if pool.model == name] for name in names}
        self._orders = {name: PoolOrder(pools) for name, pools in by_model.items() if pools}
        self._planned = names
        # Where a model has no pools, the next larger that has some; the last for the rest.
        served = [index for index, name in enumerate(names) if name in self._orders]
        self._answering = [
            names[next((other for other in served if other >= index), served[-1])]
            for index in range(len(names))
        ]
        self._thresholds: Sequence[float] = live.routing.thresholds
        self._dial = [(step.quality, step.thresholds) for step in live.routing.dial]
        self._router = router

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
        thresholds = self._setting(asked, limits)
        score = self._score(query.text, headers) if thresholds else None
        index = -1 if score is None else bisect_left(thresholds, score)
        model = self._answering[index]
        return Choice(model, self._orders[model].turn(), score, routed=True)

    def attempts(self, choice: Choice) -> Iterator[Attempt]:
        """Whom to ask, one after the other, until one answers; at most MAX_ATTEMPTS.

        The pools of the model; the first again, where Ray Serve now sees another replica; for a
        routed query the pools of larger models in order of cost; and the first again.
        """
        model, pool = choice.model, choice.pool
        pauses = (FIRST_PAUSE_S * 2**number for number in itertools.count())
        again = (Attempt(model, pool, pause_s) for pause_s in pauses)
        larger = self._larger(model) if choice.routed else iter(())
        others = (Attempt(model, other) for other in self._orders[model].others(pool))
        first = [Attempt(model, pool)]
        everyone = itertools.chain(first, others, itertools.islice(again, 1), larger, again)
        return itertools.islice(everyone, MAX_ATTEMPTS)

    def _larger(self, model: str) -> Iterator[Attempt]:
        for name in self.models[self.models.index(model) + 1 :]:
            first = self._orders[name].turn()
            yield Attempt(name, first)
            yield from (Attempt(name, other) for other in self._orders[name].others(first))

    def _setting(self, asked: str, limits: KeyLimits | None) -> Sequence[float]:
        """Thresholds of a routed query: the plan's, or those of the dial."""
        quality = _dialled(asked)
        if asked == ROUTED:
            quality = None if limits is None else limits.quality
        if quality is None or not self._dial:
            return self._thresholds
        step = bisect_left(self._dial, quality, key=lambda step: step[0])
        return self._dial[min(step, len(self._dial) - 1)][1]

    def _score(self, text: str | None, headers: Mapping[bytes, bytes]) -> float | None:
        """The query's score in [0, 1]; None where there is nothing to score it by."""
        router = self._router
        if router is None:
            return None
        if router.takes == "text":
            return None if text is None else float(router.score([text])[0])
        name = QUERY_HEADERS[router.takes]
        given = headers.get(name.encode())
        if given is None:
            return None
        return float(router.score(_numbers(given, len(router.feature_names), name))[0])

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


def _numbers(given: bytes, count: int, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The `count` finite numbers of a header, [count]; raise RequestError (400)."""
    parts = given.split(b",") if len(given) <= _MOST_FEATURES_CHARS else []
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        wanted = "a number" if count == 1 else f"{count} numbers with commas between them"
        raise RequestError(400, f"the header {name} should be {wanted}", param=name)
    return np.array(numbers)
