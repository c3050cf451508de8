"""`boute router drift`: whether queries are still like those that a router was fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from boute.routing.evaluation.drift import Drift, Shares
    from boute.routing.evaluation.score_log import Cut

__all__ = ["drift"]


def drift(
    router: Annotated[Path, typer.Argument(metavar="ROUTER", help="A router's folder.")],
    log: Annotated[
        Path,
        typer.Argument(metavar="LOG", help="An access log, /metrics/scores as .json, or texts."),
    ],
    plan: Annotated[
        Path | None, typer.Option("--plan", help="The plan whose thresholds are looked at.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare scores seen with those of training, and each model's share with the planned one.

    stable: a PSI of at most 0.1. shifted: above, or a share is off by more than 2 points and a KS
    test does not put it down to chance (p under 0.01). drifted: a PSI over 0.25.
    """
    from boute.cli.console import print_json
    from boute.plan.store import load_plan
    from boute.routing.evaluation.drift import drift as run
    from boute.routing.evaluation.score_log import Cut, read_scores
    from boute.routing.router import Router

    loaded = Router.load(router)
    named = None if plan is None else load_plan(plan)
    seen = read_scores(log, loaded, None if named is None else named.name)
    cut = seen.cut
    if named is not None and named.routing.policy == "thresholds":
        routing = named.routing
        cut = Cut(tuple(routing.models), tuple(routing.thresholds), tuple(routing.fractions))
    found = run(seen.scores, loaded.reference.scores, **_of(cut))
    if as_json:
        print_json(_data(found))
    else:
        _print(found)


def _of(cut: Cut | None) -> dict[str, Any]:
    if cut is None:
        return {}
    return {"models": cut.models, "thresholds": cut.thresholds, "fractions": cut.fractions}


def _data(found: Drift) -> dict[str, Any]:
    from dataclasses import asdict

    moved = None if found.shares is None else found.shares.moved
    return {"verdict": found.verdict, "thresholds_moved": moved, **asdict(found)}


def _print(found: Drift) -> None:
    print(f"{found.verdict}: {found.scores} scores against {found.training_scores} of training")
    print(f"PSI {found.psi:.3f} ({found.psi_by_chance:.3f} by chance; limits 0.1 and 0.25)")
    print(f"KS {found.ks:.3f}, p {found.ks_p:.2g}")
    print(f"mean score {found.mean:.3f}, in training {found.training_mean:.3f}")
    if found.shares is None:
        print("shares: no plan; --plan names one")
    else:
        _print_shares(found.shares)


def _print_shares(shares: Shares) -> None:
    lines = zip(shares.models, shares.planned, shares.seen, strict=True)
    for model, planned, seen in lines:
        print(f"{model}: planned {planned:.1%} of queries, seen {seen:.1%}")
    if not shares.moved:
        print("thresholds: they give the planned shares, to 2 points")
        return
    now, then = (
        ", ".join(f"{each:.4g}" for each in values)
        for values in (shares.thresholds, shares.restored)
    )
    print(f"thresholds: {now} give other shares than planned; {then} would restore them")
