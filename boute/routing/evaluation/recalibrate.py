"""Calibration of predicted qualities: a straight line on the logit of each model's prediction.

Platt scaling (Platt, Advances in Large Margin Classifiers, 1999), with graded quality as a
fractional label and a prior that pulls the line to the identity, so that a table of fifty rows
moves the level and little else. Two numbers a model: order within a model is kept, no new ties
arise, and serving needs one line of numpy.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from boute.workload.arrays import Floats

__all__ = ["IDENTITY", "calibrated", "fit_calibration", "logit"]

IDENTITY: Final = (1.0, 0.0)
# Predictions are kept this far from 0 and 1, where a logit has no end.
_MARGIN: Final = 1e-3
_STEPS: Final = 50
# Of the slope's distance from 1 and the level's from 0, in rows' worth of evidence.
_PRIOR_ROWS: Final = 1.0
# A slope under this would turn the order of the queries around, or wipe it out.
_LEAST_SLOPE: Final = 0.05


def logit(quality: Floats) -> Floats:
    """The logit of qualities in [0, 1], which are kept a thousandth from either end."""
    inside = np.clip(quality, _MARGIN, 1.0 - _MARGIN)
    return np.asarray(np.log(inside / (1.0 - inside)))


def calibrated(predicted: Floats, lines: Floats) -> Floats:
    """Calibrated qualities [M, K] by lines [K, 2] of slope and level."""
    return _sigmoid(logit(predicted) * lines[:, 0] + lines[:, 1])


def fit_calibration(predicted: Floats, quality: Floats) -> Floats:
    """Lines [K, 2] by which predictions [M, K] mean most likely the qualities [M, K] that came.

    Of rows that the predictions were not fitted on. A model whose quality is NaN in a row is fitted
    on the others; one without rows keeps its predictions.
    """
    lines = [_line(logit(p), q) for p, q in zip(predicted.T, quality.T, strict=True)]
    return np.array(lines, dtype=np.float64).reshape(-1, 2)


def _line(given: Floats, quality: Floats) -> tuple[float, float]:
    """Newton's method on the penalised likelihood, which has one maximum."""
    known = np.isfinite(quality)
    design = np.stack([given[known], np.ones(int(known.sum()))], axis=1)
    target, line, prior = quality[known], np.array(IDENTITY), np.array(IDENTITY)
    for _ in range(_STEPS):
        expected = _sigmoid(design @ line)
        slope = design.T @ (target - expected) - _PRIOR_ROWS * (line - prior)
        spread = expected * (1.0 - expected)
        curvature = design.T @ (design * spread[:, None]) + _PRIOR_ROWS * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        line = line + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    if line[0] >= _LEAST_SLOPE:
        return float(line[0]), float(line[1])
    return _LEAST_SLOPE, _level(given[known], target)


def _level(given: Floats, target: Floats) -> float:
    """The level at which the least slope has the right mean, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        over = _sigmoid(_LEAST_SLOPE * given + middle).mean() > target.mean()
        low, high = (low, middle) if over else (middle, high)
    return 0.5 * (low + high)


def _sigmoid(value: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * value)))
