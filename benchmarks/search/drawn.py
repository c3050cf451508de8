"""Specs drawn at random, by number: a number draws the same spec everywhere.

They vary what a user may ask: two to eight models in any number format, one to eight GPU types of
a few or of many, three kinds of workload, targets tight, loose or none, and two to four objectives.
Small ones are such that every plan can be listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from benchmarks.search.cell import ROOT
from boute.profiles.catalog import load_gpu, load_model
from boute.spec.model import Spec

__all__ = ["draw_case", "draw_small"]

_FAMILIES: Final = {
    "llama-3.1": ("llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"),
    "qwen2.5": ("qwen2.5-3b", "qwen2.5-7b", "qwen2.5-32b", "qwen2.5-72b"),
}
_LARGE: Final = ("llama-3.1-405b",)  # fits on no few GPUs
_CARDS: Final = (
    "llama-3.2-1b", "llama-3.2-3b", "qwen3-4b", "mistral-7b", "llama-3.1-8b", "mistral-nemo-12b",
    "qwen3-14b", "mistral-small-24b", "gemma-3-27b", "qwen3-30b-a3b", "qwen3-32b", "mixtral-8x7b",
    "llama-3.3-70b", "mistral-large-123b", "qwen3-235b-a22b",
)  # fmt: skip
_GPUS: Final = (
    "a100-40gb", "a100-80gb", "a10g", "a40", "b200", "h100-pcie", "h100-sxm", "h200", "l4", "l40s",
    "mi300x", "rtx-4090", "rtx-pro-6000", "t4",
)  # fmt: skip
_OBJECTIVES: Final = (
    ["quality", "e2e_p95_s", "cost_per_hour"],
    ["quality", "ttft_p95_s", "cost_per_hour"],
    ["quality", "cost_per_hour"],
    ["e2e_p95_s", "cost_per_hour"],
    ["quality", "e2e_p95_s"],
    ["quality", "goodput_per_s", "cost_per_hour"],
    ["quality", "e2e_mean_s", "energy_j_per_token", "cost_per_hour"],
)
# Mean rates, requests a second, and the shortest window that is used of each, seconds.
_TRACES: Final = (("azure-conversation", 5.53, 60), ("azure-code", 2.57, 120))
_ROWS: Final = 600


def draw_case(number: int, folder: Path) -> Path:
    """Write the spec of a number, with its quality table, into `folder`; its file."""
    rng = np.random.default_rng([17, number])
    folder.mkdir(parents=True, exist_ok=True)
    table, models = _family(rng, number, folder)
    types = int(rng.choice([1, 2, 2, 3, 4, 5, 6, 8]))
    gpus = _gpus(rng, types, int(rng.choice([8, 16, 32, 64])))
    whole = _price(gpus)
    spec = {
        "models": models,
        "gpus": gpus,
        "workload": _workload(rng, whole),
        "quality": {"table": table},
        "targets": _targets(rng, whole),
        "objectives": _OBJECTIVES[rng.integers(len(_OBJECTIVES))],
    }
    return _written(spec, folder / f"random-{number:03d}.yaml")


def draw_small(number: int, folder: Path) -> Path:
    """Write the spec of a number whose every plan can be listed into `folder`; its file."""
    rng = np.random.default_rng([18, number])
    folder.mkdir(parents=True, exist_ok=True)
    table = str(rng.choice(list(_FAMILIES)))
    count = 2 if rng.random() < 0.8 else 3
    cards = [card for card in _FAMILIES[table] if card not in _LARGE]
    chosen = [cards[place] for place in sorted(rng.permutation(len(cards))[:count])]
    weights = str(rng.choice(["bf16", "fp8"]))
    gpus = _gpus(rng, int(rng.choice([2, 2, 3])), 4)
    whole = _price(gpus)
    trace, rate_per_s, least_s = _TRACES[int(rng.integers(len(_TRACES)))]
    scale = round(whole * float(rng.uniform(0.02, 0.08)) / rate_per_s, 3)
    objectives = [few for few in _OBJECTIVES if len(few) < 4]
    spec = {
        "models": [{"name": card, "weights": weights} for card in chosen],
        "gpus": gpus,
        "workload": {"trace": trace, "rate_scale": scale, "duration_s": least_s},
        "quality": {"table": table},
        "targets": {
            "ttft_p95_s": float(rng.choice([1.0, 2.0, 5.0])),
            "tpot_p95_s": float(rng.choice([0.06, 0.1, 0.2])),
            "quality_min": float(rng.choice([0.5, 0.55, 0.6])),
            "budget_per_hour": round(whole * float(rng.uniform(0.5, 0.95)), 2),
        },
        "objectives": objectives[rng.integers(len(objectives))],
    }
    return _written(spec, folder / f"small-{number:03d}.yaml")


def _written(spec: dict[str, Any], path: Path) -> Path:
    Spec.model_validate(spec)
    path.write_text(yaml.safe_dump(spec, sort_keys=False), "utf-8")
    return path


def _price(gpus: Mapping[str, Mapping[str, int]]) -> float:
    """Of the whole inventory, an hour."""
    prices = {name: load_gpu(name, ROOT).price.on_demand_per_hour for name in gpus}
    return sum(prices[name] * held["count"] for name, held in gpus.items())


def _family(
    rng: np.random.Generator, number: int, folder: Path
) -> tuple[str, list[dict[str, Any]]]:
    """A preset's family, some of it in several formats, or cards with a table made for them."""
    if rng.random() < 0.5:
        preset = str(rng.choice(list(_FAMILIES)))
        every = [(c, w) for c in _FAMILIES[preset] for w in ("bf16", "fp8", "int4")]
        count = int(rng.integers(2, 6))
        chosen = [every[place] for place in sorted(rng.permutation(len(every))[:count])]
        models = [{"name": f"{c}-{w}", "card": c, "weights": w} for c, w in chosen]
        return preset, models
    count = int(rng.integers(2, 9))
    cards = sorted(rng.permutation(len(_CARDS))[:count])
    models = [{"name": _CARDS[place], "weights": _weights(rng)} for place in cards]
    file = folder / f"random-{number:03d}.csv"
    _write_table(rng, [model["name"] for model in models], file)
    return file.name, models


def _weights(rng: np.random.Generator) -> str:
    return str(rng.choice(["bf16", "bf16", "fp8", "int4"]))


def _write_table(rng: np.random.Generator, models: Sequence[str], file: Path) -> None:
    """Answers right or wrong: a model's ability grows with its size, a query's score is noisy."""
    size = np.log10([load_model(name, ROOT).parameters for name in models])
    ability = 1.6 * (size - 10.0) + rng.normal(0.0, 0.3, len(models))
    hardness = rng.normal(0.0, 1.5, _ROWS)
    right = rng.random((_ROWS, len(models))) < 1.0 / (
        1.0 + np.exp(hardness[:, None] - ability - 0.5)
    )
    score = 1.0 / (1.0 + np.exp(-hardness - rng.normal(0.0, 1.0, _ROWS)))
    tokens = rng.lognormal(5.3, 0.6, (_ROWS, len(models))).astype(int) + 1
    head = ["score", *models, *(f"{name}_output_tokens" for name in models)]
    rows = [
        [f"{score[row]:.6f}", *(str(int(ok)) for ok in right[row]), *map(str, tokens[row])]
        for row in range(_ROWS)
    ]
    file.write_text("\n".join(",".join(row) for row in [head, *rows]) + "\n", "utf-8")


def _gpus(rng: np.random.Generator, types: int, most: int) -> dict[str, dict[str, int]]:
    names = [_GPUS[place] for place in rng.permutation(len(_GPUS))[:types]]
    return {name: {"count": int(rng.integers(2, most + 1))} for name in names}


def _workload(rng: np.random.Generator, whole: float) -> dict[str, Any]:
    """A preset or bursts, at a rate that the whole inventory could carry, and more than idles."""
    rate = whole * float(rng.uniform(0.02, 0.12))
    requests = float(np.exp(rng.uniform(np.log(400), np.log(15_000))))
    kind = int(rng.integers(len(_TRACES) + 1))
    if kind < len(_TRACES):
        trace, rate_per_s, least_s = _TRACES[kind]
        scale = {"trace": trace, "rate_scale": round(rate / rate_per_s, 3)}
        return scale | {"duration_s": int(np.clip(requests / rate, least_s, 3400))}
    return {
        "generator": {
            "arrivals": str(rng.choice(["poisson", "gamma", "on-off"])),
            "rate_per_s": round(rate, 3),
            "duration_s": int(np.clip(requests / rate, 60, 3600)),
            "input_tokens": {
                "median": int(rng.integers(100, 2000)),
                "sigma": 0.9,
                "maximum": 16000,
            },
            "output_tokens": {"median": int(rng.integers(30, 500)), "sigma": 0.7, "maximum": 4000},
        }
    }


def _targets(rng: np.random.Generator, whole: float) -> dict[str, float]:
    targets: dict[str, float] = {}
    if rng.random() < 0.7:
        targets["ttft_p95_s"] = float(rng.choice([0.5, 1.0, 2.0, 5.0]))
    if rng.random() < 0.6:
        targets["tpot_p95_s"] = float(rng.choice([0.04, 0.06, 0.1, 0.2]))
    if rng.random() < 0.2:
        targets["e2e_p90_s"] = float(rng.choice([10.0, 20.0, 40.0]))
    if rng.random() < 0.5:
        targets["quality_min"] = float(rng.choice([0.4, 0.5, 0.6]))
    if rng.random() < 0.7:
        targets["budget_per_hour"] = round(whole * float(rng.uniform(0.2, 0.9)), 2)
    return targets
