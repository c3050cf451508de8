import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.evaluation.splits import fold_of_rows, group_splits, halves, task_splits

GROUPS = st.lists(st.integers(0, 12), min_size=1, max_size=80).map(np.array)


@given(GROUPS, st.integers(1, 6), st.integers(0, 3))
def test_a_group_is_in_one_fold_and_folds_are_of_like_size(
    groups: np.ndarray, folds: int, seed: int
) -> None:
    fold = fold_of_rows(groups, folds, seed)
    assert fold.min() >= 0
    assert fold.max() < folds
    for group in np.unique(groups):
        assert len(np.unique(fold[groups == group])) == 1
    sizes = np.bincount(fold, minlength=folds)
    # Each group went to the fold that was smallest, so the largest is ahead by one group at most.
    assert sizes.max() - sizes.min() <= np.bincount(groups).max()


@given(GROUPS)
def test_splits_by_group_judge_each_row_once_and_share_nothing(groups: np.ndarray) -> None:
    if len(np.unique(groups)) < 2:
        with pytest.raises(ValueError, match="two groups"):
            group_splits(groups, 0)
        return
    splits = group_splits(groups, 0)
    assert sorted(np.concatenate([split.test for split in splits]).tolist()) == list(
        range(len(groups))
    )
    for split in splits:
        assert not set(groups[split.train]) & set(groups[split.test])
        assert len(split.train) + len(split.test) == len(groups)


def test_splits_by_task_leave_out_what_is_nearly_the_same_in_another_task() -> None:
    tasks = ["a", "a", "b", "b", "c"]
    duplicates = np.array([0, 1, 1, 2, 3])
    splits = {split.name: split for split in task_splits(tasks, duplicates, seed=0)}
    assert splits["a"].test.tolist() == [0, 1]
    assert splits["a"].train.tolist() == [3, 4]
    assert splits["c"].train.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="two tasks"):
        task_splits(["a", "a"], np.arange(2), seed=0)


def test_many_tasks_are_held_out_a_few_at_a_time() -> None:
    tasks = [f"task {i % 20}" for i in range(200)]
    splits = task_splits(tasks, np.arange(200), seed=1)
    assert [split.name for split in splits] == ["4 tasks"] * 5
    assert sum(len(split.test) for split in splits) == 200


def test_halves_are_of_like_size_and_share_no_group() -> None:
    groups = np.random.default_rng(0).integers(0, 40, 300)
    one, two = halves(groups, seed=0)
    assert abs(len(one) - len(two)) <= np.bincount(groups).max()
    assert not set(groups[one]) & set(groups[two])
