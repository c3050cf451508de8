from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from boute.optimizer.options import Option
from boute.optimizer.problem import Problem
from boute.optimizer.worthwhile import worthwhile

LOADS = np.linspace(0.05, 0.9, 35)


def is_as_good(other: Option, option: Option) -> bool:
    """Whether as many of one as fit the GPUs of the other do what it does, on a fine grid."""
    replicas = option.gpus // other.gpus
    if replicas * other.capacity_per_s < option.capacity_per_s:
        return False
    if replicas * other.goodput_per_s < option.goodput_per_s:
        return False
    for rate in LOADS * option.capacity_per_s:
        one, several = option.at_rate(rate), other.at_rate(rate / replicas)
        # A little beyond the tenth, since it looks at a few loads only.
        if several.ttft_s > 1.15 * one.ttft_s or several.tpot_s > 1.15 * one.tpot_s:
            return False
    return True


def test_what_is_left_out_is_replaced_by_what_is_kept(problem: Problem) -> None:
    options = problem.table.options
    kept = worthwhile(options)
    left_out = set(range(len(options))) - set(kept)
    assert left_out
    for index in left_out:
        option = options[index]
        assert any(
            options[other].model == option.model
            and options[other].gpu == option.gpu
            and option.gpus % options[other].gpus == 0
            and is_as_good(options[other], option)
            for other in kept
        )


def test_every_model_keeps_a_shape_on_every_gpu_type_that_it_fits(problem: Problem) -> None:
    options = problem.table.options
    pairs = {(options[index].model, options[index].gpu) for index in worthwhile(options)}
    assert pairs == {(option.model, option.gpu) for option in options}


def test_shapes_that_are_alike_do_not_replace_each_other_both(problem: Problem) -> None:
    option = problem.table.options[0]
    assert worthwhile([option, replace(option)]) == [0]


@pytest.mark.parametrize("better", [{"capacity_per_s": 3.0}, {"goodput_per_s": 3.0}])
def test_what_carries_more_than_small_replicas_on_its_gpus_is_kept(
    problem: Problem, better: dict[str, float]
) -> None:
    small = replace(problem.table.options[0], capacity_per_s=1.0, goodput_per_s=0.5)
    double = replace(small, tensor_parallel=2 * small.tensor_parallel)
    assert worthwhile([small, replace(double, capacity_per_s=2.0, goodput_per_s=1.0)]) == [0]
    assert worthwhile([small, replace(double, **better)]) == [0, 1]
