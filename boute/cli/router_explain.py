"""`boute router explain`: what a router expects of a text, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from boute.routing.explain import Reason
    from boute.routing.prediction import Prediction

__all__ = ["explain"]


def explain(
    router: Annotated[Path, typer.Argument(metavar="ROUTER", help="A router's folder.")],
    text: Annotated[str, typer.Argument(help="A query.")],
    top: Annotated[int, typer.Option(min=0, max=100, help="Reasons to name.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what quality and length a router expects of each model on a text, and what decides it."""
    from boute.cli.console import print_json
    from boute.errors import InputError
    from boute.routing.explain import reasons
    from boute.routing.router import Router

    loaded = Router.load(router)
    if loaded.takes != "text":
        raise InputError(f"scores {loaded.takes} values, not texts", where=str(router))
    prediction = loaded.predict([text])
    score = float(loaded.score([text])[0])
    why = reasons(loaded, text, top)
    if as_json:
        models = _models(loaded.models, prediction)
        print_json({"score": score, "models": models, "reasons": [vars(one) for one in why]})
        return
    _print(loaded.models, prediction, score, why)


def _models(names: tuple[str, ...], prediction: Prediction) -> list[dict[str, Any]]:
    return [
        {
            "model": name,
            "quality": float(prediction.quality[0, column]),
            "quality_sd": float(prediction.quality_sd[0, column]),
            "output_tokens": float(prediction.output_tokens[0, column]),
            "output_low": float(prediction.output_low[0, column]),
            "output_high": float(prediction.output_high[0, column]),
        }
        for column, name in enumerate(names)
    ]


def _print(names: tuple[str, ...], prediction: Prediction, score: float, why: list[Reason]) -> None:
    width = max(map(len, names))
    print(f"score {score:.4f} (0 to 1, higher for harder)")
    print(f"\n{'':{width}}  quality  output tokens")
    for model in _models(names, prediction):
        print(
            f"{model['model']:{width}}  {model['quality']:7.3f}  {model['output_tokens']:6.0f}"
            f"  ({model['output_low']:.0f} to {model['output_high']:.0f})"
        )
    if why:
        print("\nmost of the score")
    for reason in why:
        print(f"  {reason.effect:+.4f}  {reason.what}")
