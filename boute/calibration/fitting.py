"""What the fits of all sources share: a robust fit, its residual, and what is fitted for a GPU.

Each fit is least squares on the logarithm of the time, so that small and large kernels count
alike, with a loss that lets single outliers go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from boute.performance.coefficients import LinkPiece, MatrixCoefficients, Residual
from boute.profiles.gpu import GpuCard

__all__ = ["Array", "Fit", "column", "fit", "fit_matrices", "residual", "shortened"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """What the kernels of one GPU type tell, by the names of StepCoefficients; None if nothing."""

    source: str
    bf16: MatrixCoefficients
    fp8: MatrixCoefficients | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    links: Mapping[int, list[LinkPiece]] = field(default_factory=dict)
    residuals: Mapping[str, Residual] = field(default_factory=dict)


def fit(
    predict: Callable[[Array], Array],
    seconds: Array,
    start: Sequence[float],
    upper: Sequence[float],
) -> Array:
    """Parameters that bring `predict` closest to `seconds` [n] on a logarithmic scale."""
    from scipy.optimize import least_squares

    def apart(x: Array) -> Array:
        return np.asarray(np.log(predict(x) / seconds))

    result = least_squares(
        apart,
        start,
        loss="soft_l1",
        f_scale=0.1,
        bounds=([1e-3] * len(start), upper),
    )
    return np.asarray(result.x)


def residual(predicted: Array, seconds: Array, source: str) -> Residual:
    """The mean absolute relative error of a fit."""
    return Residual(
        rows=len(seconds),
        error=shortened(float(np.abs(predicted / seconds - 1.0).mean())),
        source=source,
    )


def fit_matrices(
    frame: pd.DataFrame,
    gpu: GpuCard,
    *,
    fp8: bool,
    source: str,
) -> tuple[MatrixCoefficients, Residual]:
    """Fit multiplications: columns m, n, k and latency in milliseconds.

    The time of a step's matrices in boute.performance.step: a 4-norm of arithmetic and reading the
    weights, then activations in and out, then the launch. With `fp8` their quantisation is in it.
    """
    m, n, k, latency = (column(frame, name) for name in ("m", "n", "k", "latency"))
    rate = (gpu.fp8_tflops or gpu.bf16_tflops if fp8 else gpu.bf16_tflops) * 1e12
    bandwidth = gpu.bandwidth_gb_s * 1e9
    arithmetic_s, reading_s = 2 * m * n * k / rate, (1.0 if fp8 else 2.0) * n * k / bandwidth
    moved_s = m * ((4.0 if fp8 else 2.0) * k + 2.0 * n) / bandwidth

    def predict(x: Array) -> Array:
        rounded = ((arithmetic_s / x[0]) ** 4 + (reading_s / x[1]) ** 4) ** 0.25
        return np.asarray(rounded + moved_s / x[2] + x[3] * 1e-6)

    found = fit(predict, latency * 1e-3, [0.7, 0.8, 0.7, 4.0], [1.2, 1.0, 3.0, 30.0])
    made = MatrixCoefficients(
        rate=shortened(found[0]),
        memory=shortened(found[1]),
        stream=shortened(found[2]),
        launch_us=shortened(found[3]),
    )
    return made, residual(predict(found), latency * 1e-3, source)


def column(frame: pd.DataFrame, name: str) -> Array:
    """A column as floats [n]."""
    return frame[name].to_numpy(dtype=np.float64)


def shortened(value: float) -> float:
    """Three significant digits: what the file holds."""
    return float(f"{value:.3g}")
