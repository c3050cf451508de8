"""Prints what figures of a text's shape bring to the lexical kind on what it has not seen.

    python -m benchmarks.routers.figures [--data FOLDER]

The score's APGR between the cheapest model and the dearest with the first thirteen figures alone,
and what more of them add, on the same rows. FOLDER is that of `benchmarks.routers`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.routers.__main__ import ROOT
from benchmarks.routers.cases import Case, cases
from boute.routing.encoders.fitting import fit_encoder
from boute.routing.evaluation.bootstrap import Resamples
from boute.routing.evaluation.pairs import apgr_difference, pair_result
from boute.routing.features import SHAPE_NAMES
from boute.routing.heads.linear import fit_linear
from boute.routing.router import score_of
from boute.workload.arrays import Floats, Ints

FIRST = 13
LANGUAGE = range(FIRST, SHAPE_NAMES.index("leading_question_word"))
FORM = range(LANGUAGE.stop, len(SHAPE_NAMES))
MORE = {"language": LANGUAGE, "form": FORM, "both": range(FIRST, len(SHAPE_NAMES))}
RESAMPLES = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    print("| table | held out | thirteen figures |", " | ".join(MORE), "|")
    print("| --- | --- | --- |" + " --- |" * len(MORE))
    for case in cases(parser.parse_args().data):
        print("|", " | ".join([case.name, case.held_out, *_cells(case)]), "|", flush=True)


def _cells(case: Case) -> list[str]:
    quality = case.table.quality[:, [0, -1]]
    drawn = Resamples(_clusters(case), count=RESAMPLES)
    start = _scores(case, range(FIRST))
    alone = pair_result(["cheapest", "dearest"], quality, start, drawn)
    assert alone is not None
    cells = [f"{alone.apgr.value:.3f}"]
    for columns in MORE.values():
        score = _scores(case, [*range(FIRST), *columns])
        found = apgr_difference(quality, score, start, drawn)
        cells.append(f"{found.value:+.3f}, {found.low:+.3f} to {found.high:+.3f}")
    return cells


def _clusters(case: Case) -> Ints:
    if case.table.task is None or case.held_out != "subjects":
        return case.groups
    return np.unique(case.table.task, return_inverse=True)[1]


def _scores(case: Case, columns: Sequence[int]) -> Floats:
    """Scores [M] by fits that see some of the figures, and nothing like the row."""
    score, kept = np.empty(len(case.table)), list(columns)
    for split in case.splits:
        seen, unseen = case.table.take(split.train), case.table.take(split.test)
        encoder, encoded = fit_encoder(seen, "lexical", None, 0)
        heads = fit_linear(replace(encoded, dense=encoded.dense[:, kept]), seen.quality)
        asked = encoder.encode(unseen.text or ())
        score[split.test] = score_of(heads.quality(replace(asked, dense=asked.dense[:, kept])))
    return score


if __name__ == "__main__":
    main()
