"""Which candidates to evaluate next: qLogNEHVI over a finite set of decoded plans.

Noisy expected hypervolume improvement (Daulton, Balandat and Bakshy, NeurIPS 2021) in its log form
(Ament et al., NeurIPS 2023), as BoTorch has it. Quality and cost are known exactly before a plan is
simulated; they enter as inputs and only the rest is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.objective import MCMultiOutputObjective
from botorch.optim.optimize import optimize_acqf_discrete
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor

from boute.optimizer.pareto import Scale
from boute.optimizer.partition import CompiledPartitioning
from boute.optimizer.surrogate import LOG_UNIT, fit_surrogate
from boute.workload.arrays import Floats

__all__ = ["Choice", "Data", "choose"]

# Posterior samples: the ranking of candidates hardly changes beyond.
MC_SAMPLES: Final = 16

# Normalised objectives are cut here: far beyond the reference point all are equally useless.
_FAR: Final = 3.0


@dataclass(frozen=True, eq=False)
class Data:
    """Plans as the surrogate sees them, one a row.

    `features` [n, F]; `priors` [n, U] logarithms of the estimates of the uncertain metrics;
    `known` [n, m] normalised objectives, NaN where the objective is uncertain.
    """

    features: Floats
    priors: Floats
    known: Floats

    def rows(self) -> Tensor:
        """Inputs [n, F + U + m] of the surrogate."""
        known = np.nan_to_num(self.known, nan=0.0)
        return torch.from_numpy(np.hstack([self.features, self.priors / LOG_UNIT, known]))


@dataclass(frozen=True, eq=False)
class Choice:
    """Indices of the chosen candidates, and the expected gain in hypervolume of the first."""

    chosen: list[int]
    gain: float


class _NoisyExpectedHypervolumeImprovement(logei.qLogNoisyExpectedHypervolumeImprovement):
    """BoTorch's acquisition, its boxes cut by compiled code."""

    def _set_cell_bounds(self, num_new_points: int) -> None:
        self.p_class = CompiledPartitioning  # type: ignore[assignment]
        super()._set_cell_bounds(num_new_points)


class _Objective(MCMultiOutputObjective):
    """Samples of logarithms and exact columns to normalised objectives, to be maximised."""

    def __init__(self, scale: Scale, uncertain: dict[int, int], exact_from: int) -> None:
        super().__init__()
        self._scale = scale
        self._uncertain = uncertain
        self._exact_from = exact_from

    def forward(self, samples: Tensor, X: Tensor | None = None) -> Tensor:  # noqa: N803
        """[..., q, U] samples and [..., q, d] inputs to [..., q, m]."""
        assert X is not None
        columns = []
        for index in range(len(self._scale.objectives)):
            if index in self._uncertain:
                value = (samples[..., self._uncertain[index]] * LOG_UNIT).exp()
                best, worst = float(self._scale.best[index]), float(self._scale.worst[index])
                column = (value - best) / (worst - best)
            else:
                column = X[..., self._exact_from + index].expand(samples.shape[:-1])
            columns.append(-column.clamp(max=_FAR))
        return torch.stack(columns, dim=-1)


def choose(
    tried: Data,
    logs: Floats,
    candidates: Data,
    *,
    scale: Scale,
    uncertain: dict[int, int],
    limits: Sequence[tuple[int, float]],
    split: tuple[Sequence[int], Sequence[int]],
    count: int,
    seed: int,
) -> Choice:
    """Fit the surrogate to what was tried and choose up to `count` candidates, one after another.

    `logs` [n, U] are the logarithms of what was simulated; `uncertain` maps an objective's index
    to its column there; `limits` are (column, logarithm of the limit); `split` the feature columns
    of routing and of deployment.
    """
    # BoTorch 0.18 would compile a C++ extension for this very processor on first use: half a minute
    # of a user's first search, and other bytes on another machine. It gains a second a search.
    logei._load_attempted = True
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with a pool of threads, processes this small fit ten times slower
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = fit_surrogate(tried.rows(), torch.from_numpy(logs / LOG_UNIT), *split)
            acquisition = _NoisyExpectedHypervolumeImprovement(
                model=model,
                ref_point=[-1.0] * len(scale.objectives),
                X_baseline=tried.rows(),
                sampler=SobolQMCNormalSampler(torch.Size([MC_SAMPLES]), seed=seed),
                objective=_Objective(
                    scale, uncertain, tried.features.shape[1] + tried.priors.shape[1]
                ),
                constraints=[_limit(column, bound) for column, bound in limits] or None,
                prune_baseline=True,
                cache_root=True,
                fat=False,  # fat tails help gradients along, and none are taken here
            )
            choices = candidates.rows()
            with torch.no_grad():
                chosen, values = optimize_acqf_discrete(
                    acquisition, q=min(count, len(choices)), choices=choices, unique=True
                )
    finally:
        torch.set_num_threads(threads)
    indices = [int((choices == row).all(dim=1).nonzero()[0, 0]) for row in chosen]
    return Choice(indices, math.exp(float(values.reshape(-1)[0])))


def _limit(column: int, bound: float) -> Callable[[Tensor], Tensor]:
    def constraint(samples: Tensor) -> Tensor:
        """Negative where the limit is met."""
        return samples[..., column] - bound / LOG_UNIT

    return constraint
