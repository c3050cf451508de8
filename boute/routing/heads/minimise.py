"""The least of a smooth loss, by L-BFGS (Liu and Nocedal, Mathematical Programming 1989)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from boute.workload.arrays import Floats

__all__ = ["minimised"]


def minimised(loss: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Where `loss` [D] -> (value, slope [D]) is least, from `start` of any shape, in its shape."""
    import scipy.optimize

    solve: Any = scipy.optimize.minimize  # its stubs take no loss that gives its slope along
    options = {"maxiter": 300, "ftol": 1e-9, "gtol": 1e-4}
    found = solve(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, dtype=np.float64).reshape(start.shape)
