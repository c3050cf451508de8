"""Fits the shipped quality presets on ZeroEval, writes them, and prints how close they come.

    python -m benchmarks.fit_quality_presets [--data FOLDER] [--out FOLDER]

FOLDER holds correct.csv.gz, out_chars.csv.gz and questions.csv.gz (by default ../shared/data/
zeroeval). The form of a preset is described in `boute.routing.preset`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import integrate, optimize, stats
from sklearn.metrics import roc_auc_score

from boute.documents import dump_yaml
from boute.files import write_text
from boute.routing.apgr import router_report
from boute.routing.preset import QualityPreset, sample
from boute.routing.table import QualityTable, load_quality_table
from boute.routing.training import held_out_scores
from boute.spec.family import ModelChoice
from boute.spec.quality import Quality
from boute.workload.arrays import Floats

ROOT = Path(__file__).resolve().parent.parent
CHARS_PER_TOKEN = 4.0
SMALLEST_EIGENVALUE = 0.02
# The 405B was run by four providers; SambaNova's run covers both tasks. Qwen2.5 of 3B, 7B, 32B
# and 72B was run on CRUXEval only, and so was the family of eight that has some of them.
FAMILIES = {
    "llama-3.1": {
        "llama-3.1-8b": "Meta-Llama-3.1-8B-Instruct",
        "llama-3.1-70b": "Meta-Llama-3.1-70B-Instruct",
        "llama-3.1-405b": "Llama-3.1-405B-Inst@sambanova",
    },
    "qwen2.5": {
        "qwen2.5-3b": "Qwen2.5-3B-Instruct",
        "qwen2.5-7b": "Qwen2.5-7B-Instruct",
        "qwen2.5-32b": "Qwen2.5-32B-Instruct",
        "qwen2.5-72b": "Qwen2.5-72B-Instruct",
    },
    "open-eight": {
        "gemma-2-2b": "gemma-2-2b-it",
        "qwen2.5-3b": "Qwen2.5-3B-Instruct",
        "qwen2.5-7b": "Qwen2.5-7B-Instruct",
        "gemma-2-9b": "gemma-2-9b-it",
        "gemma-2-27b": "gemma-2-27b-it",
        "qwen2.5-32b": "Qwen2.5-32B-Instruct",
        "llama-3.1-70b": "Meta-Llama-3.1-70B-Instruct",
        "llama-3.1-405b": "Llama-3.1-405B-Inst@sambanova",
    },
}
SOURCE = (
    "Fitted by benchmarks/fit_quality_presets.py on ZeroEval (github.com/WildEval/ZeroEval, commit "
    "8c1485edf12c6efb5f69135a562927c5ad484059, Apache-2.0): greedy answers to {tasks}, graded by "
    "its rule; columns {columns}. Output tokens are characters / 4. The score is the cross-fitted "
    "score of the lexical kind of boute.routing.training."
)
TASK_NAMES = {"gsm": "GSM8K", "crux": "CRUXEval"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/zeroeval")
    parser.add_argument("--out", type=Path, default=ROOT / "profiles/presets/quality")
    options = parser.parse_args()
    for name, columns in FAMILIES.items():
        table = zeroeval_table(options.data, columns)
        score = held_out_scores(table, range(len(columns)), seed=0)
        tasks = tasks_of_rows(options.data, list(columns.values()))
        preset = fit(table, score, tasks, list(columns.values()))
        write_text(options.out / f"{name}.yaml", dump_yaml(preset.model_dump()))
        print_check(name, table, score, preset)


def zeroeval_table(data: Path, columns: dict[str, str]) -> QualityTable:
    quality = Quality(
        table="correct.csv.gz",
        lengths="out_chars.csv.gz",
        texts="questions.csv.gz",
        key=["task", "id"],
        quality=columns,
        output_unit="chars",
        chars_per_token=CHARS_PER_TOKEN,
    )
    return load_quality_table(quality, [ModelChoice(name=name) for name in columns], data)


def tasks_of_rows(data: Path, columns: list[str]) -> list[str]:
    """The task of each row that the table keeps."""
    return list(pd.read_csv(data / "correct.csv.gz").dropna(subset=columns)["task"])


def fit(table: QualityTable, score: Floats, tasks: list[str], columns: list[str]) -> QualityPreset:
    names = sorted(set(tasks))
    fitted = {name: fit_task(table, score, np.array(tasks) == name) for name in names}
    source = SOURCE.format(
        tasks=" and ".join(TASK_NAMES[name] for name in names), columns=", ".join(columns)
    )
    data = {"source": source, "models": list(table.models), "tasks": fitted}
    return QualityPreset.model_validate(data)


def fit_task(table: QualityTable, score: Floats, rows: np.ndarray) -> dict[str, object]:
    quality, tokens = table.quality[rows], table.output_tokens[rows]
    logit = np.log(score[rows] / (1 - score[rows]))
    normal = [normal_scores(column) for column in (*tokens.T, logit)]
    matrix = correlations(quality, np.stack(normal, axis=1))
    return {
        "share": round(float(rows.mean()), 4),
        "accuracy": rounded(quality.mean(axis=0), 4),
        "output_tokens_mean": rounded(tokens.mean(axis=0), 1),
        "output_tokens_sd": rounded(tokens.std(axis=0), 1),
        "score_logit_mean": round(float(logit.mean()), 3),
        "score_logit_sd": round(float(logit.std()), 3),
        "correlation": [rounded(matrix[i, :i], 3) for i in range(1, len(matrix))],
    }


def correlations(quality: Floats, normal: Floats) -> Floats:
    """Latent correlations of failure [M, K] and normal variables [M, C], made positive definite.

    Between two failures tetrachoric (the correlation that gives both models' joint accuracy),
    between a failure and a normal variable biserial (covariance over the density at the cut),
    between normal variables Pearson's.
    """
    k, size = quality.shape[1], quality.shape[1] + normal.shape[1]
    cut = stats.norm.ppf(quality.mean(axis=0))
    matrix = np.eye(size)
    matrix[k:, k:] = np.corrcoef(normal.T)
    for i in range(k):
        for j in range(i):
            both = float((quality[:, i] * quality[:, j]).mean())
            matrix[i, j] = matrix[j, i] = tetrachoric(cut[i], cut[j], both)
        for j in range(k, size):
            covariance = -np.cov(quality[:, i], normal[:, j - k], bias=True)[0, 1]
            biserial = float(np.clip(covariance / stats.norm.pdf(cut[i]), -0.95, 0.95))
            matrix[i, j] = matrix[j, i] = biserial
    values, vectors = np.linalg.eigh(matrix)
    matrix = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(matrix))
    return matrix / np.outer(scale, scale)


def tetrachoric(cut_a: float, cut_b: float, both: float) -> float:
    """The correlation of two standard normals that are both below their cuts so often."""

    def excess(rho: float) -> float:
        inner = np.sqrt(1 - rho**2)
        value, _ = integrate.quad(
            lambda x: stats.norm.pdf(x) * stats.norm.cdf((cut_b - rho * x) / inner), -8, cut_a
        )
        return float(value) - both

    low, high = -0.98, 0.98
    if excess(low) > 0:
        return low
    return high if excess(high) < 0 else float(optimize.brentq(excess, low, high))


def normal_scores(values: Floats) -> Floats:
    return np.asarray(stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values)))


def rounded(values: Floats, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def print_check(name: str, table: QualityTable, score: Floats, preset: QualityPreset) -> None:
    rows = sample(preset)
    other = QualityTable(
        name=name,
        models=table.models,
        quality=rows.quality,
        output_tokens=rows.output_tokens,
        score=rows.score,
    )
    real, made = figures(table, score), figures(other, rows.score)
    print(f"{name}: {len(table)} rows of ZeroEval, {len(other)} of the preset")
    print(f"{'':44}{'data':>9}{'preset':>9}")
    for label, value in real.items():
        print(f"{label:44}{value:9.3f}{made[label]:9.3f}")
    print()


def figures(table: QualityTable, score: Floats) -> dict[str, float]:
    """What a preset should share with its data."""
    found: dict[str, float] = {}
    for column, model in enumerate(table.models):
        found[f"accuracy {model}"] = float(table.quality[:, column].mean())
        found[f"output tokens, mean {model}"] = float(table.output_tokens[:, column].mean())
        found[f"output tokens, sd {model}"] = float(table.output_tokens[:, column].std())
        for other in range(column):
            agree = table.quality[:, column] == table.quality[:, other]
            found[f"agreement {table.models[other]}, {model}"] = float(agree.mean())
    gains = table.quality[:, 1:].max(axis=1) > table.quality[:, 0]
    found["AUC of the score for a gain"] = float(roc_auc_score(gains, score))
    for pair in router_report(table, score, range(len(table.models))):
        found[f"APGR {pair.weak}, {pair.strong}"] = pair.apgr
    return found


if __name__ == "__main__":
    main()
