"""Where a spec's requests come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from boute.documents import Document
from boute.spec.fields import Count, Positive, Seed

__all__ = ["Generator", "LengthDistribution", "WorkloadSource"]


class LengthDistribution(Document):
    """Token lengths: lognormal with a median and a sigma of the logarithm, clipped."""

    median: Positive
    sigma: Annotated[float, Field(ge=0, le=5)] = 0.0
    minimum: Count = 1
    maximum: Annotated[int, Field(ge=1, le=10_000_000)] = 131_072

    @model_validator(mode="after")
    def _ordered(self) -> LengthDistribution:
        if self.minimum > self.maximum:
            raise ValueError("minimum should not exceed maximum")
        return self


class Generator(Document):
    """A synthetic workload: an arrival process and token lengths.

    `gamma` has interarrival times with coefficient of variation `cv`; `on-off` alternates bursts
    of `on_s` seconds at `burst_factor` times the mean rate with quieter spells of `off_s`;
    `diurnal` moves sinusoidally by `amplitude` around the mean over `period_s`.
    """

    arrivals: Literal["poisson", "gamma", "on-off", "diurnal"] = "poisson"
    rate_per_s: Positive
    duration_s: Positive = 600.0
    cv: Positive = 2.0
    on_s: Positive = 30.0
    off_s: Positive = 90.0
    burst_factor: Annotated[float, Field(ge=1)] = 3.0
    period_s: Positive = 86_400.0
    amplitude: Annotated[float, Field(ge=0, le=1)] = 0.8
    input_tokens: LengthDistribution
    output_tokens: LengthDistribution

    @model_validator(mode="after")
    def _mean_rate_is_reachable(self) -> Generator:
        if self.arrivals == "on-off":
            highest = (self.on_s + self.off_s) / self.on_s
            if self.burst_factor > highest:
                raise ValueError(
                    f"burst_factor should be at most (on_s + off_s) / on_s = {highest:g}"
                )
        return self


class WorkloadSource(Document):
    """Where requests come from: a trace file or preset by name, or a generator."""

    trace: str | None = Field(default=None, description="a file, or the name of a preset")
    generator: Generator | None = None
    columns: dict[Literal["arrival", "input_tokens", "output_tokens"], str] = Field(
        default_factory=dict, description="names of the columns where they are not recognised"
    )
    rate_scale: Positive = Field(default=1.0, description="times as many requests a second")
    start_s: Annotated[float, Field(ge=0)] = 0.0
    duration_s: Positive | None = Field(default=None, description="length of the window used")
    max_requests: Count | None = None
    thin_to: Annotated[int, Field(ge=1000)] | None = Field(
        default=None,
        description="requests simulated of a longer trace; default: 400,000 of over 2 million",
    )
    seed: Seed = Field(default=0, description="draws arrivals and pairs requests with queries")

    @model_validator(mode="after")
    def _one_source(self) -> WorkloadSource:
        if (self.trace is None) == (self.generator is None):
            raise ValueError("give either trace or generator")
        return self
