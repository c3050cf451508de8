"""Non-negative least squares for columns of any size, which seconds per this and that are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["non_negative"]

Array = NDArray[np.float64]


def non_negative(rows: Array, values: Array) -> Array:
    """The x [K] >= 0 with the least |rows x - values|, for rows [N, K] and values [N].

    Lawson and Hanson, Solving Least Squares Problems, 1974, with the columns brought to one length:
    bytes come in billions, steps in ones.
    """
    from scipy.optimize import nnls

    sizes = np.linalg.norm(rows, axis=0)
    sizes[sizes == 0.0] = 1.0
    scaled, _ = nnls(rows / sizes, values)
    return np.asarray(scaled / sizes)
