"""Judges routers on tables of others and writes the measured part of docs/routing.md.

    python -m benchmarks.routers [--data FOLDER] [--embedding FOLDER] [--write]

FOLDER of `--data` holds routellm/mmlu_all.csv.gz, zeroeval/*.csv.gz and llmrouter/
dcrouter_train.json.gz (by default ../shared/data); what is missing is skipped, and said. With
`--embedding`, the folder of an embedding model, the kind embedding is judged too.
Without `--write` the tables go to standard output.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.routers.cases import cases
from benchmarks.routers.judging import Result, judge_case
from benchmarks.routers.markdown import tables
from benchmarks.routers.remembered import Remembered
from boute.files import write_text
from boute.routing.training import Recipe

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/routing.md"
BEGIN, END = "<!-- python -m benchmarks.routers -->", "<!-- end of what it writes -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--embedding", type=Path)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    recipes: list[tuple[Recipe, Remembered | None]] = [(Recipe("lexical"), None)]
    if options.embedding is None:
        print("skipped: the kind embedding, for which --embedding names a model's folder")
    else:
        model = Remembered.load(options.embedding)
        recipes.append((Recipe("embedding", options.embedding), model))
    results: list[Result] = []
    for case in cases(options.data):
        for recipe, model in recipes:
            start = time.monotonic()
            results.append(judge_case(case, recipe, model, options.resamples))
            seconds = time.monotonic() - start
            print(
                f"{case.name}, {case.held_out} held out, {recipe.kind}: {seconds:.0f} s", flush=True
            )
    text = tables(results, options.resamples)
    if options.write and results:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        write_text(PAGE, f"{before}{BEGIN}\n\n{text}\n{END}{after}")
    else:
        print(text)


if __name__ == "__main__":
    main()
