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

__all__ = ["Curve", "Line", "write_lines_png", "write_rivalry_png"]

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


@dataclass(frozen=True)
class Line:
    """One line of a panel: hypervolume `up` from each place `across` on, as a step."""

    name: str
    across: tuple[float, ...]
    up: tuple[float, ...]


def write_rivalry_png(title: str, curves: Sequence[Curve], path: Path) -> None:
    """Write the picture, a line a search and a colour a sampler; raise OutputError."""
    by_count = [
        Line(c.sampler, tuple(range(1, len(c.hypervolume) + 1)), c.hypervolume) for c in curves
    ]
    by_time = [Line(c.sampler, c.seconds, c.hypervolume) for c in curves]
    write_lines_png(title, by_count, by_time, path)


def write_lines_png(
    title: str, by_count: Sequence[Line], by_time: Sequence[Line], path: Path
) -> None:
    """Write lines against evaluations beside lines against seconds; raise OutputError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    count_axes, time_axes = figure.subplots(1, 2, sharey=True)
    names = list(dict.fromkeys(line.name for line in by_time))
    colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names)}
    for axes, lines in ((count_axes, by_count), (time_axes, by_time)):
        for line in lines:
            colour = colours[line.name]
            axes.step(line.across, line.up, where="post", color=colour, lw=1.3, alpha=0.8)
        axes.set_xscale("log")
    for name in names:
        time_axes.plot([], [], color=colours[name], label=name)
    time_axes.legend(frameon=False, labelcolor=_MUTED, fontsize=8.5)
    count_axes.set_ylabel("Hypervolume", color=_MUTED)
    _finish(count_axes, "Evaluations")
    _finish(time_axes, "Seconds")
    figure.suptitle(title, x=0.01, ha="left", size=13, weight="bold").set_parse_math(False)
    data = io.BytesIO()
    # Without this matplotlib writes its own version into the file.
    figure.savefig(data, format="png", dpi=100, metadata={"Software": None})
    write_bytes(path, data.getvalue())


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlabel(label, color=_MUTED)
    axes.tick_params(colors=_MUTED)
    axes.grid(color="#eceae5")
    axes.set_axisbelow(True)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
