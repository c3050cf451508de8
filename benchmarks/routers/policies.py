"""Prints what utility and cascades make of a table at the cost of thresholds.

    python -m benchmarks.routers.policies [--data FOLDER] [--tiny FOLDER]

A setting for every division of the queries between three models in steps of 5%, by predictions of
the lexical kind that saw nothing like the row. Cost is the seen output tokens of all answers that
were made, times the parameters of their models. At some parts of the way from the cheapest model's
cost to the dearest's: the best quality of a setting that costs no more, and what it is more than
that of thresholds, with 95% intervals over groups of near-duplicates. FOLDER of `--data` is that of
`benchmarks.routers`; none of its tables holds the models' confidence, and cascades are left out.
The one that `make tiny` writes into the folder of `--tiny` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
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
from boute.routing.table import load_quality_table
from boute.routing.training import held_out_scores
from boute.spec.family import ModelChoice
from boute.spec.quality import Policy, Quality
from boute.workload.arrays import Floats

WAYS: Final = (0.1, 0.25, 0.5, 0.75)
RESAMPLES: Final = 1000
STEPS: Final = 20
MODELS: Final = ("llama-3.1-8b-instruct", "gemma-2-9b-it", "llama-3.1-nemotron-51b-instruct")
# Millions of parameters of the family of examples/tiny (docs/tiny.md).
TINY: Final = {"small": 0.33, "medium": 0.99, "large": 2.63}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--tiny", type=Path, default=ROOT / "out/tiny")
    options = parser.parse_args()
    print("| table | cost | thresholds | utility | more, 95% | cascade | more, 95% |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for case in [*cases(options.data), *_tiny(options.tiny)]:
        if case.held_out == "questions" and case.prices is not None:
            for cells in _rows(_of_three(case)):
                print("|", " | ".join(cells), "|", flush=True)


def _tiny(folder: Path) -> Iterator[Case]:
    if not (folder / "quality.csv").is_file():
        print(f"skipped: there is no {folder / 'quality.csv'}, which make tiny writes")
        return
    quality = Quality(
        table="quality.csv",
        policy="cascade",
        confidence={name: f"confidence_{name}" for name in list(TINY)[:-1]},
    )
    table = load_quality_table(quality, [ModelChoice(name=name) for name in TINY], folder)
    # Ledgers are drawn one by one: there are no near-duplicates to keep together.
    yield Case("tiny", "questions", table, np.arange(len(table)), [], tuple(TINY.values()))


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
    predicted = held_out_predictions(table, order, SEED)
    scores = held_out_scores(table, order, SEED)
    evidence = Evidence(scores, *predicted, confidence=table.confidence)
    spent = table.output_tokens * np.array(case.prices)
    drawn = Resamples(case.groups, count=RESAMPLES)
    first, last = spent[:, 0].mean(), spent[:, 2].mean()
    limits = [first + way * (last - first) for way in WAYS]
    rows = [[case.name, f"{way:.0%} of the way"] for way in WAYS]
    own = _best("thresholds", evidence, table.quality, spent, drawn, limits)
    for row, value in zip(rows, own[0], strict=True):
        row.append(f"{value:.3f}")
    for name in ("utility", "cascade"):
        if name == "cascade" and evidence.confidence is None:
            for row in rows:
                row += ["", ""]
            continue
        found = _best(name, evidence, table.quality, spent, drawn, limits)
        lows, highs = np.quantile(found[1:] - own[1:], [0.025, 0.975], axis=0)
        for at, row in enumerate(rows):
            more = found[0, at] - own[0, at]
            row += [f"{found[0, at]:.3f}", f"{more:+.3f}, {lows[at]:+.3f} to {highs[at]:+.3f}"]
    return rows


def _best(
    name: Policy,
    evidence: Evidence,
    quality: Floats,
    spent: Floats,
    drawn: Resamples,
    limits: list[float],
) -> Floats:
    """Best quality within each limit [1 + R, L]: on the rows as they are, then on each resample."""
    policy = policy_of(name, evidence)
    settings = [policy.setting_for(fractions) for fractions in compositions(3, STEPS)]
    rows = np.arange(len(quality))
    given = np.stack([quality[rows, policy.answers(each)] for each in settings], axis=1)
    paid = np.stack([(spent * policy.asked(each)).sum(axis=1) for each in settings], axis=1)
    found = []
    for weights in (np.ones((len(rows), 1)), *drawn.blocks()):
        shares = (weights / weights.sum(axis=0)).T
        means, costs = shares @ given, shares @ paid
        found.append(
            [np.where(costs <= limit * (1.0 + 1e-9), means, 0.0).max(axis=1) for limit in limits]
        )
    return np.concatenate(found, axis=1).T


if __name__ == "__main__":
    main()
