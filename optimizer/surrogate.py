"""Gaussian processes of what is uncertain about a plan, on top of the analytic estimate.

Each metric that has to be simulated has one process of its logarithm. Its prior mean is the
estimate, so that it learns how simulation differs from it; its kernel is additive,

    k = routing + deployment + routing x deployment,

as in the BOute paper. Inputs are rows [F + U + C]: F features, the estimated logarithms of the U
uncertain metrics (the prior means), and C values that are known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from gpytorch.kernels import Kernel, MaternKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import Mean
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import GammaPrior, LogNormalPrior
from torch import Tensor

__all__ = ["fit_surrogate"]

# Differences between estimate and simulation are of this order in log units; dividing by it gives
# the processes targets of unit size, which their priors are made for.
LOG_UNIT = 0.3


class EstimateMean(Mean):  # type: ignore[misc]
    """Prior mean: a column of the input."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self._column = column

    def forward(self, x: Tensor) -> Tensor:
        """Mean [..., n] of inputs [..., n, d]."""
        return x[..., self._column]


def _kernel(routing: Sequence[int], deployment: Sequence[int]) -> Kernel:
    def part(dims: Sequence[int]) -> Kernel:
        matern = MaternKernel(
            nu=2.5,
            ard_num_dims=len(dims),
            active_dims=tuple(dims),
            # Features lie in [0, 1]; lengths grow with the dimension (Hvarfner et al., 2024).
            lengthscale_prior=LogNormalPrior(0.5 + 0.5 * torch.tensor(float(len(dims))).log(), 1.0),
        )
        return ScaleKernel(matern, outputscale_prior=GammaPrior(2.0, 2.0))

    if not routing:
        return part(deployment)
    return part(routing) + part(deployment) + part(routing) * part(deployment)


def fit_surrogate(
    inputs: Tensor, logs: Tensor, routing: Sequence[int], deployment: Sequence[int]
) -> ModelListGP:
    """Fit one process a metric.

    `inputs` [n, d] with the prior means in the columns after the features; `logs` [n, U] in units
    of LOG_UNIT, like the prior means.
    """
    first = len(routing) + len(deployment)
    models = []
    for column in range(logs.shape[1]):
        # The simulator has no noise of its own; what the features leave out looks like some.
        likelihood = GaussianLikelihood(noise_prior=LogNormalPrior(-4.0, 1.0))
        model = SingleTaskGP(
            inputs,
            logs[:, column : column + 1],
            likelihood=likelihood,
            mean_module=EstimateMean(first + column),
            covar_module=_kernel(routing, deployment),
            outcome_transform=None,
            input_transform=None,
        )
        mll = ExactMarginalLogLikelihood(model.likelihood, model)
        fit_gpytorch_mll(mll, optimizer_kwargs={"options": {"maxiter": 20}})
        models.append(model)
    return ModelListGP(*models)
