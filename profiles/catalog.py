"""Finds cards by name or by path, and writes those that a user adds.

A name is looked up in the user's folder first and among the shipped cards second, so a user's card
replaces a shipped one of the same name. A path in a spec beats both and is relative to the spec's
folder. The user's folder is $BOUTE_CARDS, or `~/.config/boute`, with `gpus/` and `models/` inside.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeVar

from boute.documents import dump_yaml, load_document
from boute.errors import OutputError, ProfileError, nearest
from boute.files import write_text
from boute.profiles.gpu import GpuCard
from boute.profiles.model import ModelCard

__all__ = [
    "card_path",
    "gpu_names",
    "load_gpu",
    "load_model",
    "model_names",
    "save_gpu_card",
    "save_model_card",
    "user_folder",
]

Card = TypeVar("Card", GpuCard, ModelCard)
Room = Literal["gpus", "models"]

SHIPPED = Path(__file__).parent
SUFFIXES = (".yaml", ".yml")


def load_gpu(name: str, folder: Path) -> GpuCard:
    """Load a GPU card by name, or by path relative to `folder`; raise ProfileError."""
    return _load(name, folder, "gpus", GpuCard)


def load_model(name: str, folder: Path) -> ModelCard:
    """Load a model card by name, or by path relative to `folder`; raise ProfileError."""
    return _load(name, folder, "models", ModelCard)


def gpu_names() -> list[str]:
    """Names of all GPU cards, shipped and the user's, sorted."""
    return _names("gpus")


def model_names() -> list[str]:
    """Names of all model cards, shipped and the user's, sorted."""
    return _names("models")


def save_gpu_card(card: GpuCard, *, force: bool = False) -> Path:
    """Write a GPU card into the user's folder and return its path; raise OutputError."""
    return _save(card, "gpus", force=force)


def save_model_card(card: ModelCard, *, force: bool = False) -> Path:
    """Write a model card into the user's folder and return its path; raise OutputError.

    A card that the user already has is kept unless `force`; a shipped one is never touched, only
    overridden.
    """
    return _save(card, "models", force=force)


def user_folder(room: Room) -> Path:
    """Where the user's cards of one kind are; it need not exist."""
    given = os.environ.get("BOUTE_CARDS")
    base = Path(given) if given else Path("~/.config/boute")
    return base.expanduser() / room


def card_path(name: str, folder: Path, room: Room) -> Path:
    """The file that `name` stands for; raise ProfileError with the nearest names."""
    if "/" in name or "\\" in name or name.endswith(SUFFIXES):
        return folder / Path(name).expanduser()
    for place in (user_folder(room), SHIPPED / room):
        for suffix in SUFFIXES:
            path = place / f"{name}{suffix}"
            if path.is_file():
                return path
    kind = "GPU" if room == "gpus" else "model"
    raise ProfileError(
        f"there is no {kind} card {name!r}", mend=nearest(name, _names(room), f"{kind} cards")
    )


def _load(name: str, folder: Path, room: Room, kind: type[Card]) -> Card:
    path = card_path(name, folder, room)
    card = load_document(path, kind, error=ProfileError)
    by_name = path.parent in (user_folder(room), SHIPPED / room)
    if by_name and card.name != path.stem:
        raise ProfileError(
            f"name: is {card.name!r} in a file called {path.name}",
            where=str(path),
            mend="make them the same",
        )
    return card


def _names(room: Room) -> list[str]:
    places = (SHIPPED / room, user_folder(room))
    files = (path for place in places for suffix in SUFFIXES for path in place.glob(f"*{suffix}"))
    return sorted({path.stem for path in files})


def _save(card: GpuCard | ModelCard, room: Room, *, force: bool) -> Path:
    path = user_folder(room) / f"{card.name}.yaml"
    if path.exists() and not force:
        raise OutputError(
            f"there is already a card {card.name!r}",
            where=str(path),
            mend="use --force to replace it or --name to keep both",
        )
    data = card.model_dump(exclude_unset=True, exclude_none=True)
    write_text(path, dump_yaml(data))
    return path
