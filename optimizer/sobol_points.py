"""Scrambled Sobol points in the unit cube."""

from __future__ import annotations

from boute.optimizer.encoding import Point

__all__ = ["sobol_points"]


def sobol_points(dimensions: int, count: int, seed: int, skip: int = 0) -> list[Point]:
    """Points skip, skip + 1, ... of a scrambled Sobol sequence in the unit cube."""
    from scipy.stats import qmc

    engine = qmc.Sobol(dimensions, scramble=True, rng=seed)
    if skip:
        engine.fast_forward(skip)
    # Balance needs powers of two, which a sequence taken in batches reaches anyway; drawing one
    # by one keeps SciPy from warning about each batch.
    return [tuple(float(value) for value in engine.random(1)[0]) for _ in range(count)]
