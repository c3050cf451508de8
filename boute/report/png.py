"""The front as a picture, for a README or a slide: cost against latency, coloured by quality.

It draws with matplotlib's Agg canvas on a figure of its own, so nothing of pyplot's global state
is touched and no display is needed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boute.files import write_bytes
from boute.metrics import is_maximised
from boute.report.figures import Axis, Kind, axis_of, axis_range, trial_points
from boute.report.page import workload_text
from boute.report.study_view import StudyView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_front_png"]

_INK: Final = "#1c2126"
_MUTED: Final = "#59636c"
_FAINT: Final = "#b9bfc4"
_SCALE: Final = ("#35296e", "#2b6a9b", "#1f9a8a", "#8aa63a", "#d99a2b")


def write_front_png(view: StudyView, path: Path) -> None:
    """Write the picture, the same bytes for the same view; raise OutputError."""
    data = io.BytesIO()
    with warnings.catch_warnings():
        # A title in a script that the font lacks is drawn as boxes, which is no news to a user.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        # Without this matplotlib writes its own version into the file.
        _figure(view).savefig(data, format="png", dpi=150, metadata={"Software": None})
    write_bytes(path, data.getvalue())


def _figure(view: StudyView) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.0), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    across, up, colour = _placed(view.objectives)
    shown = [axis_of(across, view.plans), axis_of(up, view.plans)]
    hue = axis_of(colour, view.plans) if colour else None
    _draw_trials(axes, view, shown)
    _draw_front(figure, axes, view, shown, hue)
    axes.set_xlabel(shown[0].title, color=_MUTED)
    axes.set_ylabel(shown[1].title, color=_MUTED)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(colors=_MUTED)
    axes.grid(color="#eceae5")
    axes.set_axisbelow(True)
    # parse_math is off because a dollar sign in a title is money, not mathematics.
    figure.suptitle(
        view.title, x=0.01, ha="left", color=_INK, size=13, weight="bold"
    ).set_parse_math(False)
    title = axes.set_title(workload_text(view.spec.workload), loc="left", color=_MUTED, size=9.5)
    title.set_parse_math(False)
    return figure


def _placed(objectives: Sequence[str]) -> tuple[str, str, str | None]:
    """What goes across, up and into colour: cost across and latency up where there are such."""
    across = next((m for m in objectives if m.startswith("cost")), objectives[0])
    rest = [metric for metric in objectives if metric != across]
    up = next((metric for metric in rest if not is_maximised(metric)), rest[0])
    hue = next((metric for metric in rest if metric != up), None)
    return across, up, hue


def _draw_trials(axes: Axes, view: StudyView, shown: Sequence[Axis]) -> None:
    kinds: tuple[tuple[Kind, str], ...] = (("dominated", "o"), ("infeasible", "x"))
    for kind, marker in kinds:
        if points := trial_points(view, shown, kind).values:
            x, y = zip(*points, strict=True)
            axes.scatter(x, y, s=18, c=_FAINT, marker=marker, linewidths=0.8, label=kind)


def _draw_front(
    figure: Figure, axes: Axes, view: StudyView, shown: Sequence[Axis], hue: Axis | None
) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    x, y = ([plan.objectives[axis.metric] * axis.factor for plan in view.plans] for axis in shown)
    if hue is None:
        axes.scatter(x, y, s=64, c=_SCALE[2], edgecolors="white", zorder=3, label="front")
    else:
        colours = [plan.objectives[hue.metric] * hue.factor for plan in view.plans]
        scale = LinearSegmentedColormap.from_list("boute", _SCALE)
        drawn = axes.scatter(
            x, y, s=64, c=colours, cmap=scale, edgecolors="white", zorder=3, label="front"
        )
        bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=32)
        bar.set_label(hue.title, color=_MUTED)
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors=_MUTED)
    axes.scatter(
        x[:1],
        y[:1],
        s=190,
        facecolors="none",
        edgecolors=_INK,
        linewidths=1.6,
        zorder=4,
        label="chosen",
    )
    axes.legend(frameon=False, labelcolor=_MUTED, fontsize=9, loc="best")
    axes.set_xlim(*axis_range(x))
    axes.set_ylim(*axis_range(y))
