"""Prints what thresholds and utility make of the same predictions at equal cost.

    python -m benchmarks.routers.policies [--data FOLDER]

A setting for every division of the queries between three models in steps of 5%, by predictions of
the lexical kind that saw nothing like the row. Cost is the seen output tokens of the answers times
the model's parameters. At some parts of the way from the cheapest model's cost to the dearest's:
the best quality of a setting that costs no more, and what utility adds, with 95% intervals over
groups of near-duplicates. FOLDER is that of `benchmarks.routers`. Cascades are left out: no table
there holds the models' confidence.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.routers.__main__ import ROOT
from benchmarks.routers.cases import SEED, Case, cases
from boute.optimizer.enumeration import compositions
from boute.routing.evaluation.bootstrap import Resamples
from boute.routing.held_out import held_out_predictions
from boute.routing.policies.evidence import Evidence
from boute.routing.policies.of import policy_of
from boute.routing.training import held_out_scores
from boute.workload.arrays import Floats, Ints

WAYS: Final = (0.1, 0.25, 0.5, 0.75)
RESAMPLES: Final = 1000
STEPS: Final = 20
MODELS: Final = ("llama-3.1-8b-instruct", "gemma-2-9b-it", "llama-3.1-nemotron-51b-instruct")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    print("| table | cost | thresholds | utility | more by utility, 95% |")
    print("| --- | --- | --- | --- | --- |")
    for case in cases(parser.parse_args().data):
        if case.held_out == "questions" and case.prices is not None:
            for cells in _rows(_of_three(case)):
                print("|", " | ".join(cells), "|", flush=True)


def _of_three(case: Case) -> Case:
    """The case with three of its models, cheapest first."""
    table = case.table
    if len(table.models) == 3:
        return case
    assert case.prices is not None
    columns = [table.models.index(name) for name in MODELS]
    three = replace(
        table,
        models=MODELS,
        quality=table.quality[:, columns],
        output_tokens=table.output_tokens[:, columns],
    )
    return replace(case, table=three, prices=tuple(case.prices[column] for column in columns))


def _rows(case: Case) -> list[list[str]]:
    table, order = case.table, range(3)
    evidence = Evidence(
        held_out_scores(table, order, SEED), *held_out_predictions(table, order, SEED)
    )
    spent = table.output_tokens * np.array(case.prices)
    drawn = Resamples(case.groups, count=RESAMPLES)
    ends = [spent[:, model].mean() for model in (0, 2)]
    limits = [ends[0] + way * (ends[1] - ends[0]) for way in WAYS]
    found = {}
    for name in ("thresholds", "utility"):
        answers = _answers(name, evidence)
        found[name] = [
            _best(_means(table.quality, answers, weights), _means(spent, answers, weights), limits)
            for weights in (np.ones((1, len(table))), *(block.T for block in drawn.blocks()))
        ]
    own, other = found["thresholds"][0], found["utility"][0]
    owns, others = (np.vstack(found[name][1:]) for name in ("thresholds", "utility"))
    lows, highs = np.quantile(others - owns, [0.025, 0.975], axis=0)
    return [
        [
            case.name,
            f"{way:.0%} of the way",
            f"{own[0, at]:.3f}",
            f"{other[0, at]:.3f}",
            f"{other[0, at] - own[0, at]:+.3f}, {lows[at]:+.3f} to {highs[at]:+.3f}",
        ]
        for at, way in enumerate(WAYS)
    ]


def _answers(name: str, evidence: Evidence) -> Ints:
    """Whose answer each row is given under each setting of the grid [S, M]."""
    policy = policy_of("utility" if name == "utility" else "thresholds", evidence)
    return np.array([policy.answers(policy.setting_for(f)) for f in compositions(3, STEPS)])


def _means(values: Floats, answers: Ints, weights: Floats) -> Floats:
    """Mean [R, S] of what the answers have [M, K], under weights of the rows [R, M]."""
    chosen = values[np.arange(len(values)), answers]
    return np.asarray(weights @ chosen.T / weights.sum(axis=1, keepdims=True))


def _best(quality: Floats, cost: Floats, limits: list[float]) -> Floats:
    """The best quality [R, L] of a setting that costs no more than each limit."""
    return np.stack([np.where(cost <= limit, quality, 0.0).max(axis=1) for limit in limits], axis=1)


if __name__ == "__main__":
    main()
