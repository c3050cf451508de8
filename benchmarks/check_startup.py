"""The shipped fit of start-ups against what was published, as the table of docs/startup.md.

    python -m benchmarks.check_startup

`published_starts.csv` holds means over the starts of each model in the artifact of "Breaking the
Ice" (upb-cn/vllm-startup-profiler 9ef96f4, experiments node7, node5 and A100, bf16 and fp16, vLLM
0.10, 35 captured sizes) and one start elsewhere. Reading weights is left out of both sides where
caches are cold, because some of those came from disk and some did not.
"""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path
from statistics import mean

from boute.startup.model import Features, StartupFit, load_fit, predict

HERE = Path(__file__).parent
CAPTURED_SIZES = 35


def main() -> None:
    fit = load_fit(HERE.parent / "profiles/startup.yaml")
    with (HERE / "published_starts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    print("| machine | cache | models | mean error | smallest | largest |")
    print("|---|---|---|---|---|---|")
    for (machine, cache), group in groupby(rows, lambda row: (row["machine"], row["cache"])):
        errors = [_error(fit, row) for row in group]
        off = mean(map(abs, errors))
        print(
            f"| {machine} | {cache} | {len(errors)} | {off:.1%} | "
            f"{min(errors):+.1%} | {max(errors):+.1%} |"
        )


def _error(fit: StartupFit, row: dict[str, str]) -> float:
    parameters = 1e9 * float(row["parameters_b"])
    start = Features(
        weights_bytes=2 * parameters,
        parameters=parameters,
        layers=float(row["layers"]),
        layer_operations=float(row["layer_operations"]),
        tokenizer_bytes=1e6 * float(row["tokenizer_mb"]),
        captured_sizes=CAPTURED_SIZES,
        cache="cold" if row["cache"] == "cold" else "warm",
    )
    found, measured_s = predict(fit, start), float(row["total_s"])
    predicted_s = found.ready_s
    if row["cache"] == "cold":
        predicted_s -= found.steps["loading"]
        measured_s -= float(row["loading_s"])
    return predicted_s / measured_s - 1.0


if __name__ == "__main__":
    main()
