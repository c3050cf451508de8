"""What steps draw above idle: power and energy of a stage, beside its times in the flat record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boute.performance import step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["add_energy"]

# Moving bytes draws this share of what lies between idle and peak, arithmetic all of it.
# Assumed; docs/performance.md shows the error against measured power.
BUSY_SHARE: Final = 0.6


def add_energy(costs: NDArray[np.float64], dynamic_w: float, *, token_s: float) -> None:
    """Write the energy of a stage into its record [N_COSTS], whose times are there.

    Its GPUs draw at most `dynamic_w` above idle; `token_s` is the arithmetic of one token.
    """
    busy_w = BUSY_SHARE * dynamic_w
    costs[step.BUSY_W] = busy_w
    costs[step.TOKEN_J] = (dynamic_w - busy_w) * token_s
    costs[step.SEQUENCE_J] = (dynamic_w - busy_w) * costs[step.HEAD_SEQUENCE_S]
    costs[step.PAIR_J] = dynamic_w * costs[step.PAIR_S]
    costs[step.CONTEXT_J] = busy_w * costs[step.CONTEXT_S]
