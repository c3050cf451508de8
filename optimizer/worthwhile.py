"""Which options are worth looking at: not those that smaller replicas on the same GPUs replace.

Most shapes of a large GPU type are of no use: two replicas of TP 2 carry more than one of PP 2 x
TP 2 and answer as fast. A search that draws shapes at random spends its evaluations on them, so the
moves draw from the others for as long as these bring something. Formulas are not exact and luck of
the trace may favour any shape, so in the end all are tried, and nothing else loses them: plans that
run them are read, scored and enumerated as all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from boute.optimizer.options import Option

__all__ = ["worthwhile"]

# Of the capacity of the option that may be replaced.
_LOADS: Final = (0.05, 0.2, 0.4, 0.6, 0.8, 0.9)

# Latencies closer than this the formulas do not tell apart (docs/performance.md).
_TOLD_APART: Final = 1.1


def worthwhile(options: Sequence[Option]) -> list[int]:
    """Indices, ascending, of the options that no smaller ones of the same model and GPU replace.

    Replicas of another shape replace one when as many as fit its GPUs carry at least its load,
    within the targets too, and at no load are slower by more than a tenth.
    """
    kept: dict[tuple[int, int], list[Option]] = {}
    found = []
    order = sorted(range(len(options)), key=lambda i: (options[i].gpus, -options[i].capacity_per_s))
    for index in order:
        option = options[index]
        others = kept.setdefault((option.model, option.gpu), [])
        if not any(_replaces(other, option) for other in others):
            others.append(option)
            found.append(index)
    return sorted(found)


def _replaces(other: Option, option: Option) -> bool:
    replicas, left = divmod(option.gpus, other.gpus)
    if (
        left
        or replicas * other.capacity_per_s < option.capacity_per_s
        or replicas * other.goodput_per_s < option.goodput_per_s
    ):
        return False
    for load in _LOADS:
        rate = load * option.capacity_per_s
        one, several = option.at_rate(rate), other.at_rate(rate / replicas)
        if several.ttft_s > _TOLD_APART * one.ttft_s or several.tpot_s > _TOLD_APART * one.tpot_s:
            return False
    return True
