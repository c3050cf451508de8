"""Fit the shipped workload presets on public traces: `python -m benchmarks.fit_workload_presets`.

Reads ../shared/data, writes profiles/presets/workloads/*.yaml, and prints what was measured next to
what the preset gives. The Azure presets are fitted on the traces themselves. ServeGen publishes no
trace but a model of each client (a renewal process for every 10 minutes, token counts for every 6
hours); a trace is drawn from those models first, and its busiest hour is fitted.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from boute.errors import DataError
from boute.files import write_text
from boute.spec.workload import WorkloadSource
from boute.workload.arrays import Floats, Ints, Trace
from boute.workload.presets import Preset, draw_preset
from boute.workload.readers import read_trace
from boute.workload.source import cut
from boute.workload.statistics import Statistics, describe

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
OUT = ROOT / "profiles" / "presets" / "workloads"

# Closer together in the tail, where a few long requests carry much of the load.
PROBABILITIES = [
    *(0.0, 0.005, 0.01),
    *np.round(np.arange(1, 30) / 32, 5).tolist(),
    *(0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999, 1.0),
]
CLASSES = 16
SEED = 0
DAY_S = 86_400
WINDOW_S = 600
LENGTHS_S = 21_600

SPLITWISE = (
    "Azure LLM inference trace 2023, {file}, github.com/Azure/AzurePublicDataset at b469a11; "
    "Patel et al., Splitwise, ISCA 2024"
)
SERVEGEN = (
    "14 clients of deepseek-r1 with published token counts, "
    "github.com/alibaba/ServeGen at f891d11; Xiang et al., ServeGen, 2025"
)


@dataclass(frozen=True)
class About:
    """What a preset is of, and the seconds over which its rate is taken as constant."""

    name: str
    description: str
    source: str
    licence: str
    step_s: float


def fit(trace: Trace, about: About) -> Preset:
    """Parameters that reproduce the rate, the gaps and the joint lengths of a trace."""
    steps = int(np.ceil(trace.duration_s / about.step_s))
    edges = np.minimum(np.arange(steps + 1) * about.step_s, trace.duration_s)
    counts = np.histogram(trace.arrival_s, edges)[0]
    cumulative = np.append(0.0, np.cumsum(counts))
    gaps = np.diff(np.interp(trace.arrival_s, edges, cumulative))
    order = np.argsort(trace.input_tokens, kind="stable")
    return Preset(
        name=about.name,
        description=about.description,
        source=about.source,
        licence=about.licence,
        rate_per_s=_short(trace.rate_per_s),
        duration_s=_short(trace.duration_s),
        step_s=about.step_s,
        rate_profile=_list(counts / np.diff(edges) / trace.rate_per_s, 4),
        probabilities=PROBABILITIES,
        gaps=_list(np.quantile(gaps, PROBABILITIES), 5),
        input_tokens=_list(np.quantile(trace.input_tokens, PROBABILITIES), 6),
        output_tokens=[
            _list(np.quantile(trace.output_tokens[rows], PROBABILITIES), 6)
            for rows in np.array_split(order, CLASSES)
        ],
        measured=rounded(describe(trace)),
    )


def azure(kind: str) -> Trace:
    return read_trace(DATA / "azure2023" / f"AzureLLMInferenceTrace_{kind}.csv")


def servegen_reasoning(rng: np.random.Generator) -> Trace:
    """The busiest hour of a day drawn from ServeGen's models of the clients of deepseek-r1."""
    folder = DATA / "servegen" / "reason" / "deepseek-r1"
    parts = [
        _client(path.with_name(path.name.replace("dataset.json", "trace.csv")), path, rng)
        for path in sorted(folder.glob("*-dataset.json.gz"))
    ]
    arrival_s, inputs, outputs = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(arrival_s, kind="stable")
    day = Trace("servegen-reasoning", arrival_s[order], inputs[order], outputs[order], DAY_S)
    counts = np.histogram(day.arrival_s, np.arange(0, DAY_S + 1, WINDOW_S))[0]
    start = int(np.argmax(np.convolve(counts, np.ones(6), "valid"))) * WINDOW_S
    return cut(day, WorkloadSource(trace=day.name, start_s=start, duration_s=3600))


def _client(windows: Path, lengths: Path, rng: np.random.Generator) -> tuple[Floats, Ints, Ints]:
    """A day of one client: arrival times, input and output tokens."""
    columns = ["start_s", "rate", "cv", "family", "shape", "scale"]
    table = pd.read_csv(windows, header=None, names=columns).query("rate > 0")
    tokens = json.loads(gzip.decompress(lengths.read_bytes()))
    arrivals, inputs, outputs = [], [], []
    for start_s, rate, _, family, shape, scale in table.itertuples(index=False):
        count = int(2 * rate * WINDOW_S) + 100
        draw = rng.gamma(shape, 1.0, count) if family == "Gamma" else rng.weibull(shape, count)
        at = np.cumsum(draw * scale)
        at = at[at < WINDOW_S]
        counts = tokens[str(int(start_s // LENGTHS_S) * LENGTHS_S)]
        if counts["input_tokens"] == "{}":
            continue
        arrivals.append(start_s + at)
        inputs.append(_drawn(counts["input_tokens"], len(at), rng))
        outputs.append(_drawn(counts["output_tokens"], len(at), rng))
    return np.concatenate(arrivals), np.concatenate(inputs), np.concatenate(outputs)


def _drawn(weights: str, count: int, rng: np.random.Generator) -> Ints:
    table: dict[int, float] = ast.literal_eval(weights)
    chance = np.array(list(table.values()))
    drawn = rng.choice(np.array(list(table)), size=count, p=chance / chance.sum())
    tokens: Ints = np.maximum(drawn, 1).astype(np.int64)
    return tokens


PRESETS: dict[About, Callable[[], Trace]] = {
    About(
        "azure-conversation",
        "a production chat service: 58 minutes, 5.5 requests a second, long answers",
        SPLITWISE.format(file="AzureLLMInferenceTrace_conv.csv"),
        "CC-BY-4.0",
        60.0,
    ): lambda: azure("conv"),
    About(
        "azure-code",
        "a production code assistant: 57 minutes, 2.6 requests a second in bursts, short answers",
        SPLITWISE.format(file="AzureLLMInferenceTrace_code.csv"),
        "CC-BY-4.0",
        10.0,
    ): lambda: azure("code"),
    About(
        "servegen-reasoning",
        "a production reasoning model: its busiest hour, very long answers",
        SERVEGEN,
        "Apache-2.0",
        20.0,
    ): lambda: servegen_reasoning(np.random.default_rng(SEED)),
}


def rounded(statistics: Statistics) -> Statistics:
    values = {k: _short(v) for k, v in statistics.model_dump().items() if k != "requests"}
    return Statistics(requests=statistics.requests, **values)


def table(measured: Statistics, drawn: list[Statistics], name: str) -> str:
    """Markdown: the source's figure, the median of the draws, and their relative difference."""
    lines = [f"| {name} | source | preset | difference |", "|---|---:|---:|---:|"]
    for key, value in measured.model_dump().items():
        median = float(np.median([getattr(one, key) for one in drawn]))
        off = f"{median - value:+.3f}" if abs(value) < 1 else f"{median / value - 1:+.1%}"
        lines.append(f"| {key} | {value:,.6g} | {median:,.6g} | {off} |")
    return "\n".join(lines)


def to_yaml(preset: Preset) -> str:
    head = "# Written by `python -m benchmarks.fit_workload_presets`; see docs/workload.md.\n"
    # Leaf lists in flow style: a table is a paragraph, not a page.
    body = yaml.safe_dump(preset.model_dump(), sort_keys=False, default_flow_style=None, width=100)
    return head + body


def _list(values: Floats, digits: int) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values]


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the workload presets and show the fit.")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seeds", type=int, default=9, help="draws whose median is shown")
    options = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA.name} is not there: the presets are fitted where the data is")
    for about, read in PRESETS.items():
        preset = fit(read(), about)
        write_text(options.out / f"{about.name}.yaml", to_yaml(preset))
        seeds = range(options.seeds)
        drawn = [describe(draw_preset(preset, np.random.default_rng(seed))) for seed in seeds]
        print(table(preset.measured, drawn, about.name), end="\n\n")


if __name__ == "__main__":
    try:
        main()
    except DataError as error:
        raise SystemExit(str(error)) from None
