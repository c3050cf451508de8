"""Splits of a table into what a router is fitted on and what it is judged on.

By task where tasks are known, so that what is judged is of a kind that was not seen; by group of
near-duplicate texts otherwise. Never by row alone: the same question on both sides would be judged
by memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boute.workload.arrays import Ints

__all__ = ["FOLDS", "Split", "fold_of_rows", "group_splits", "halves", "task_splits"]

FOLDS: Final = 5


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to fit on and rows to judge on, ascending; `name` says what is held out."""

    name: str
    train: Ints
    test: Ints


def task_splits(
    tasks: Sequence[str], duplicates: Ints, seed: int, folds: int = FOLDS
) -> list[Split]:
    """Splits whose tasks [N] differ, each task judged once; every task alone where there are few.

    Rows nearly the same as a judged one are in neither part. Raise ValueError for a single task.
    """
    names = sorted(set(tasks))
    if len(names) < 2:
        raise ValueError("a split by task needs two tasks")
    number = {name: index for index, name in enumerate(names)}
    group = np.array([number[task] for task in tasks], dtype=np.int64)
    fold = fold_of_rows(group, min(folds, len(names)), seed)
    splits = []
    for index in range(int(fold.max()) + 1):
        test = np.flatnonzero(fold == index)
        held = sorted({tasks[row] for row in test})
        seen = (fold == index) | np.isin(duplicates, duplicates[test])
        name = held[0] if len(held) == 1 else f"{len(held)} tasks"
        splits.append(Split(name, np.flatnonzero(~seen), test))
    return splits


def group_splits(duplicates: Ints, seed: int, folds: int = FOLDS) -> list[Split]:
    """Splits by group [N], each row judged once. Raise ValueError for a single group."""
    count = min(folds, len(np.unique(duplicates)))
    if count < 2:
        raise ValueError("a split by group needs two groups")
    fold = fold_of_rows(duplicates, count, seed)
    return [
        Split(f"fold {index + 1}", np.flatnonzero(fold != index), np.flatnonzero(fold == index))
        for index in range(count)
    ]


def halves(groups: Ints, seed: int) -> tuple[Ints, Ints]:
    """Rows of two parts of about one size that share no group [N]."""
    fold = fold_of_rows(groups, 2, seed)
    return np.flatnonzero(fold == 0), np.flatnonzero(fold == 1)


def fold_of_rows(groups: Ints, folds: int, seed: int) -> Ints:
    """A fold [N] in 0..folds-1 for each row, one for all rows of a group, of like size.

    Groups come in random order, large ones first, each to the fold that has fewest rows.
    """
    numbers, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(numbers))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    rows = np.zeros(folds, dtype=np.int64)
    fold = np.empty(len(numbers), dtype=np.int64)
    for group in order:
        fold[group] = int(rows.argmin())
        rows[fold[group]] += sizes[group]
    return np.asarray(fold[inverse], dtype=np.int64)
