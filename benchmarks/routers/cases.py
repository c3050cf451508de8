"""The tables that routers are judged on, and what of each is held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from boute.routing.evaluation.duplicates import near_duplicates
from boute.routing.evaluation.splits import FOLDS, Split, group_splits, task_splits
from boute.routing.layouts import Choices, read_training_table
from boute.routing.table import QualityTable
from boute.workload.arrays import Ints

MMLU_MODELS = ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview")
# GPT-4 is right on 3% of it in RouteLLM's file: its answers were not found in its responses.
MMLU_BROKEN = "high_school_mathematics"
LLAMA = {
    "llama-3.1-8b": "Meta-Llama-3.1-8B-Instruct",
    "llama-3.1-70b": "Meta-Llama-3.1-70B-Instruct",
    "llama-3.1-405b": "Llama-3.1-405B-Inst@sambanova",
}
# Parameters in billions stand for prices: what a token costs to make follows them.
LLAMA_PRICES = (8.0, 70.0, 405.0)
# Without llama3-chatqa, whose scores of 0.17 to 0.27 come of another prompt format.
OPEN = {
    "mistral-7b-instruct-v0.3": 7.0,
    "codegemma-7b": 8.5,
    "qwen2.5-7b-instruct": 7.6,
    "llama-3.1-8b-instruct": 8.0,
    "gemma-2-9b-it": 9.2,
    "llama-3.3-nemotron-super-49b-v1": 49.0,
    "llama-3.1-nemotron-51b-instruct": 51.0,
}
PARTS = 10
SEED = 0


@dataclass(frozen=True, eq=False)
class Case:
    """A table, the splits by which each row is judged once, and prices if they are known.

    `held_out` says what a router had seen nothing of; `groups` [M] numbers near-duplicates.
    """

    name: str
    held_out: str
    table: QualityTable
    groups: Ints
    splits: list[Split]
    prices: tuple[float, ...] | None = None


def cases(data: Path) -> Iterator[Case]:
    """Every case whose table is there; says of the others that they are not."""
    for folder, make in (("routellm", _mmlu), ("zeroeval", _zeroeval), ("llmrouter", _llmrouter)):
        if (data / folder).is_dir():
            yield from make(data / folder)
        else:
            print(f"skipped: there is no {data / folder}")


def _mmlu(folder: Path) -> Iterator[Case]:
    read = read_training_table(folder / "mmlu_all.csv.gz", models=MMLU_MODELS).table
    assert read.task is not None
    kept = [row for row, subject in enumerate(read.task) if subject != MMLU_BROKEN]
    table = read.take(kept)
    groups = _groups(table)
    yield Case("RouteLLM's MMLU", "subjects", table, groups, _by_task(table, groups))


def _zeroeval(folder: Path) -> Iterator[Case]:
    choices = Choices(quality=LLAMA)
    table = read_training_table(
        folder / "correct.csv.gz", models=tuple(LLAMA), choices=choices
    ).table
    groups = _groups(table)
    yield Case("ZeroEval", "questions", table, groups, group_splits(groups, SEED), LLAMA_PRICES)
    yield Case("ZeroEval", "tasks", table, groups, _by_task(table, groups), LLAMA_PRICES)


def _llmrouter(folder: Path) -> Iterator[Case]:
    read = read_training_table(folder / "dcrouter_train.json.gz", models=tuple(OPEN)).table
    table = replace(read, task=None)
    prices = tuple(OPEN.values())
    groups = _groups(table)
    yield Case("LLMRouter", "questions", table, groups, group_splits(groups, SEED), prices)
    # The file names no benchmark, but holds one after the other.
    parts = tuple(f"part {row * PARTS // len(table):02}" for row in range(len(table)))
    by_part = replace(table, task=parts)
    splits = _by_task(by_part, groups)
    yield Case("LLMRouter", "tenths of the file", by_part, groups, splits, prices)


def _groups(table: QualityTable) -> Ints:
    assert table.text is not None
    return near_duplicates(table.text)


def _by_task(table: QualityTable, groups: Ints) -> list[Split]:
    assert table.task is not None
    tasks = len(np.unique(table.task))
    folds = tasks if tasks <= PARTS else FOLDS
    return task_splits(table.task, groups, SEED, folds=folds)
