"""What a study is about, and what another study has to know of it to be started from it."""

from __future__ import annotations

from dataclasses import dataclass

from boute.context import Context
from boute.files import sha256_of
from boute.optimizer.start import Start

__all__ = ["StudyHeader", "header_of", "score_hash"]


@dataclass(frozen=True)
class StudyHeader:
    """What a study is about: the hash of its spec, the spec's file, the objectives.

    The outcomes of a `robust` study were drawn over resamples; they do not mix with others.
    `score_hash` tells whether thresholds mean the same in another study, and `peak_rate_per_s` is
    the load that its plans are sized for: what a search needs that is started from this one.
    `start` is what this one was started from.
    """

    spec_hash: str
    spec_file: str
    objectives: tuple[str, ...]
    robust: bool = False
    score_hash: str = ""
    peak_rate_per_s: float = 0.0
    start: Start | None = None


def header_of(context: Context, spec_file: str, start: Start | None = None) -> StudyHeader:
    """The header of a study of a context."""
    return StudyHeader(
        context.spec_hash,
        spec_file,
        tuple(context.spec.objectives),
        context.spec.search.robust,
        score_hash(context),
        context.workload.peak_rate_per_s,
        start,
    )


def score_hash(context: Context) -> str:
    """Hash of what settings of the policy refer to, and of the models that they route between.

    That is the router's scores; of another policy than thresholds what it knows beside them.
    """
    evidence = context.evidence
    others = (evidence.quality, evidence.output_tokens, evidence.confidence)
    known = [values.tobytes() for values in others if values is not None]
    return sha256_of(context.score.tobytes(), *context.model_names, *known)
