"""Which model is worth its price on a query: quality less the price of the expected answer."""

from __future__ import annotations

from collections.abc import Sequence

from boute.errors import DataError, nearest
from boute.routing.encoders.encoder import Encoded
from boute.routing.policies.utility import PER_TOKENS, worth_most
from boute.routing.router import Router

__all__ = ["Utility"]


class Utility:
    """Compares `models`, cheapest first, as a router predicts them.

    `columns` are their places in the prices of a plan. Raise DataError for a model that the router
    does not know.
    """

    def __init__(self, router: Router, models: Sequence[str], columns: Sequence[int]) -> None:
        for name in models:
            if name not in router.models:
                raise DataError(
                    f"the router has no prediction for {name}",
                    where="routing.router",
                    mend=nearest(name, router.models, "models"),
                )
        self._router = router
        self._predicted = [router.models.index(name) for name in models]
        self._priced = list(columns)

    def best(self, encoded: Encoded, prices: Sequence[float]) -> int:
        """Which of the models answers one encoded query; the cheaper one where two are level.

        `prices` [K] are in quality per 1,000 expected output tokens, of all models of the plan.
        """
        expected = self._router.predict_encoded(encoded)
        quality = expected.quality[:, self._predicted]
        thousands = expected.output_tokens[:, self._predicted] / PER_TOKENS
        rates = [prices[place] for place in self._priced]
        return int(worth_most(quality, thousands, rates)[0])
