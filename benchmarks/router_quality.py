"""Prints how well the text score routes on ZeroEval, on queries it was not fitted on.

python -m benchmarks.router_quality [--data FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.fit_quality_presets import FAMILIES, ROOT, zeroeval_table
from boute.routing.apgr import router_report
from boute.routing.training import held_out_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/zeroeval")
    table = zeroeval_table(parser.parse_args().data, FAMILIES["llama-3.1"])
    order = range(len(table.models))
    print(f"{len(table)} queries of GSM8K and CRUXEval")
    print(
        f"{'pair':32}{'quality':>16}{'APGR':>8}{'random':>15}{'oracle':>8}{'CPT50':>7}{'CPT80':>7}"
    )
    for pair in router_report(table, held_out_scores(table, order, seed=0), order):
        names = f"{pair.weak}, {pair.strong}"
        qualities = f"{pair.weak_quality:.3f} {pair.strong_quality:.3f}"
        print(
            f"{names:32}{qualities:>16}{pair.apgr:8.3f}{f'0.5 ± {pair.random_sd:.3f}':>15}"
            f"{pair.oracle:8.3f}{pair.cpt_50:7.1%}{pair.cpt_80:7.1%}"
        )


if __name__ == "__main__":
    main()
