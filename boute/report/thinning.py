"""What thinning a long trace may have cost in accuracy, as people are told."""

from __future__ import annotations

from collections.abc import Sequence

from boute.plan.model import Plan
from boute.spec.model import Spec

__all__ = ["largest_errors", "thinning_says"]


def largest_errors(plans: Sequence[Plan]) -> dict[str, float]:
    """Largest relative error of thinning over some plans, by metric; empty without thinning."""
    found: dict[str, float] = {}
    for plan in plans:
        for metric, error in plan.predicted.thinning_error.items():
            value = plan.predicted.value(metric)
            relative = error / value if value > 0.0 else 0.0
            found[metric] = max(found.get(metric, 0.0), relative)
    return found


def _text(errors: dict[str, float]) -> str:
    """Relative errors as `e2e_p95_s ±1.2%`, the largest first."""
    ranked = sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{metric} ±{error:.1%}" for metric, error in ranked)


def thinning_says(plans: Sequence[Plan], spec: Spec) -> list[str]:
    """A sentence on the error of thinning, if the trace was thinned."""
    errors = largest_errors(plans)
    if not errors:
        return []
    exact = [name for name in spec.objectives if name not in errors]
    rest = f"; {' and '.join(exact)} exact" if exact else ""
    return [
        f"windows stand for the {plans[0].predicted.requests:,} requests of the trace, with 95% "
        f"errors of at most {_text(errors)}{rest}"
    ]
