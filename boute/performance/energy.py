"""What steps draw above idle: power and energy of a stage, beside its times in the flat record.

A record is for the top clock; `at_clock` gives that of a lower one, from which tables of time and
energy by tokens and clock can be made. Arithmetic slows with the clock and reading does not, and
dynamic power goes with V^2 f.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from boute.performance import step
from boute.performance.power import PowerCoefficients

__all__ = ["add_energy", "at_clock"]

_ARITHMETIC_S: Final = [
    step.TOKEN_S,
    step.EXPERT_TOKEN_S,
    step.HEAD_SEQUENCE_S,
    step.PAIR_S,
    step.MIXED_CONTEXT_S,
    step.MIXED_S,
]
_ARITHMETIC_J: Final = [step.TOKEN_J, step.SEQUENCE_J, step.PAIR_J]
_MEMORY: Final = [step.BUSY_W, step.CONTEXT_J]


def add_energy(
    costs: NDArray[np.float64], dynamic_w: float, power: PowerCoefficients, *, token_s: float
) -> None:
    """Write the energy of a stage into its record [N_COSTS], whose times are there.

    Its GPUs draw at most `dynamic_w` above idle; `token_s` is the arithmetic of one token.
    """
    busy_w = power.weights * dynamic_w
    costs[step.BUSY_W] = busy_w
    costs[step.TOKEN_J] = (dynamic_w - busy_w) * token_s
    costs[step.SEQUENCE_J] = (dynamic_w - busy_w) * costs[step.HEAD_SEQUENCE_S]
    costs[step.PAIR_J] = dynamic_w * costs[step.PAIR_S]
    costs[step.CONTEXT_J] = power.cache * dynamic_w * costs[step.CONTEXT_S]


def at_clock(
    costs: NDArray[np.float64], clock: float, power: PowerCoefficients
) -> NDArray[np.float64]:
    """The record [N_COSTS] at a share `clock` of the top clock, 0.4 to 1.

    Further down reading slows too, which is not modelled: raise ValueError.
    """
    if not 0.4 <= clock <= 1.0:
        raise ValueError("the clock is a share of the top one, from 0.4 to 1")
    dynamic = clock * max(power.voltage_floor, clock) ** 2
    lower = costs.copy()
    lower[_ARITHMETIC_S] /= clock
    lower[_ARITHMETIC_J] *= _kept(power.arithmetic_static, dynamic) / clock
    lower[_MEMORY] *= _kept(power.memory_static, dynamic)
    return lower


def _kept(static: float, dynamic: float) -> float:
    return static + (1.0 - static) * dynamic
