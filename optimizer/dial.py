"""The settings that a client may choose between: from the cheapest answers to the best.

Queries move from the cheapest model to the next, hardest first, and on from there, so every step
is a plan of the same pools with other thresholds or prices. It is what `model: boute-0.8` chooses
from.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Final

import numpy as np

from boute.context import Context
from boute.plan.model import DialStep
from boute.routing.expected import expected_quality
from boute.routing.policies.of import as_planned

__all__ = ["dial_steps"]

STEPS_PER_MODEL: Final = 10


def dial_steps(context: Context, served: Collection[str]) -> list[DialStep]:
    """Settings in ascending order of expected quality, each dearer than the one before.

    `served` are the models that have pools; no other gets a query. A setting that costs more and
    is expected to answer no better than a cheaper one is left out.
    """
    names = context.model_names
    places = [place for place, name in enumerate(names) if name in served]
    steps: list[DialStep] = []
    for fractions in _from_cheapest_to_dearest(places, len(names)):
        setting = context.policy.setting_for(fractions)
        quality = expected_quality(context.quality, context.policy.answers(setting)).mean
        if not steps or quality > steps[-1].quality:
            planned = as_planned(context.spec.quality.policy, setting)
            steps.append(DialStep(quality=quality, **planned))
    return steps


def _from_cheapest_to_dearest(places: list[int], models: int) -> list[list[float]]:
    found = []
    for cheaper, dearer in pairwise(places):
        for moved in np.linspace(0.0, 1.0, STEPS_PER_MODEL + 1)[:-1]:
            fractions = [0.0] * models
            fractions[cheaper], fractions[dearer] = 1.0 - float(moved), float(moved)
            found.append(fractions)
    last = [0.0] * models
    last[places[-1]] = 1.0
    return [*found, last]
