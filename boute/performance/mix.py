"""Token moments of a set of requests, as the steady state wants them."""

from __future__ import annotations

import numpy as np

from boute.performance.steady import Lengths
from boute.workload.arrays import Ints

__all__ = ["lengths_of"]


def lengths_of(input_tokens: Ints, output_tokens: Ints) -> Lengths:
    """Moments of requests with these tokens [n], n > 0."""
    inputs, outputs = input_tokens.astype(np.float64), output_tokens.astype(np.float64)
    return Lengths(
        input_tokens=float(inputs.mean()),
        output_tokens=float(outputs.mean()),
        input_square=float(np.square(inputs).mean()),
        context=float(((inputs + outputs / 2.0) * outputs).sum() / outputs.sum()),
    )
