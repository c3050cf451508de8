"""The rule by which each model of a routing gets its queries, in words: short, for all policies."""

from __future__ import annotations

from typing import Final

from boute.plan.model import Routing

__all__ = ["routing_rules", "setting_text", "setting_words"]

# Prices that leave a model out are far above, those that compare models far below.
_NO_PRICE: Final = 1e9


def routing_rules(routing: Routing) -> list[str]:
    """What a query of each model [K] has to be like, or its answer."""
    if routing.policy == "thresholds":
        return [f"score up to {limit:.3g}" for limit in routing.thresholds] + ["the rest"]
    asked = [place for place, load in enumerate(routing.asked) if load > 0]
    return [
        _rule(routing, place, is_last=place == asked[-1]) if place in asked else "not asked"
        for place in range(len(routing.models))
    ]


def _rule(routing: Routing, place: int, *, is_last: bool) -> str:
    if routing.policy == "utility":
        return f"worth most at {routing.prices[place]:.3g} for 1,000 tokens"
    if is_last:
        return f"asked {routing.asked[place]:.1%}, answers the rest"
    least = routing.thresholds[place]
    return f"asked {routing.asked[place]:.1%}, answers from a confidence of {least:.3g}"


def setting_text(routing: Routing, value: float) -> str:
    """One number of a routing's setting; the ones that leave a model out say so."""
    if routing.policy == "utility" and value >= _NO_PRICE:
        return "not asked"
    if routing.policy == "cascade" and not 0.0 < value <= 1.0:
        return "not asked" if value > 1.0 else "any"
    return f"{value:.4g}"


def setting_words(routing: Routing) -> str:
    """What the numbers of a routing's setting are, model by model, as a sentence begins."""
    return {
        "thresholds": "Highest score that {} answers",
        "utility": "Price of 1,000 tokens of {}",
        "cascade": "Least confidence of an answer of {}",
    }[routing.policy]
