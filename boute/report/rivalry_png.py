"""Searches side by side as a picture: hypervolume against evaluations and against seconds."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boute.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "write_rivalry_png"]

_MUTED: Final = "#59636c"
_COLOURS: Final = (
    "#35296e", "#d99a2b", "#1f9a8a", "#b3452c", "#2b6a9b",
    "#8aa63a", "#8f4f9e", "#59636c", "#c77fa0", "#1c2126",
)  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """One search: `seconds` and normalised `hypervolume` after each of its evaluations."""

    sampler: str
    seconds: tuple[float, ...]
    hypervolume: tuple[float, ...]


def write_rivalry_png(title: str, curves: Sequence[Curve], path: Path) -> None:
    """Write the picture, a line a search and a colour a sampler; raise OutputError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    by_count, by_time = figure.subplots(1, 2, sharey=True)
    names = list(dict.fromkeys(curve.sampler for curve in curves))
    for curve in curves:
        colour = _COLOURS[names.index(curve.sampler) % len(_COLOURS)]
        count = [*range(1, len(curve.hypervolume) + 1)]
        for axes, across in ((by_count, count), (by_time, [*curve.seconds])):
            axes.step(across, curve.hypervolume, where="post", color=colour, lw=1.3, alpha=0.8)
    for place, name in enumerate(names):
        by_time.plot([], [], color=_COLOURS[place % len(_COLOURS)], label=name)
    by_time.legend(frameon=False, labelcolor=_MUTED, fontsize=8.5)
    by_time.set_xscale("log")
    by_count.set_ylabel("Hypervolume", color=_MUTED)
    _finish(by_count, "Evaluations")
    _finish(by_time, "Seconds")
    figure.suptitle(title, x=0.01, ha="left", size=13, weight="bold").set_parse_math(False)
    data = io.BytesIO()
    # Without this matplotlib writes its own version into the file.
    figure.savefig(data, format="png", dpi=150, metadata={"Software": None})
    write_bytes(path, data.getvalue())


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlabel(label, color=_MUTED)
    axes.tick_params(colors=_MUTED)
    axes.grid(color="#eceae5")
    axes.set_axisbelow(True)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
