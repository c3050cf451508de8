"""Predicted against measured as two scatter plots in one HTML page that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from boute.files import write_text
from boute.report.html import script_json

__all__ = ["write_agreement"]

# Metric, group, measured and predicted in milliseconds, and what the point is of.
Point = tuple[str, str, float, float, str]
BAND: Final = 0.2


def write_agreement(points: Sequence[Point], path: Path) -> None:
    """Write the page; raise OutputError."""
    from plotly.offline import get_plotlyjs

    figures = [_figure(metric, points) for metric in ("tpot", "ttft")]
    scripts = "".join(
        f"Plotly.newPlot('plot{index}', {script_json(figure)});"
        for index, figure in enumerate(figures)
    )
    divs = "".join(f'<div id="plot{index}" class="plot"></div>' for index in range(len(figures)))
    title = html.escape(f"Predicted against measured, {len(points)} values")
    write_text(
        path,
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{title}</title><style>body{{font-family:sans-serif;margin:2em}}"
        f".plot{{height:36em;max-width:60em}}</style><script>{get_plotlyjs()}</script></head>"
        f"<body><h1>{title}</h1><p>The line is agreement, the dotted ones 20% off.</p>{divs}"
        f"<script>{scripts}</script></body></html>\n",
    )


def _figure(metric: str, points: Sequence[Point]) -> dict[str, Any]:
    mine = [point for point in points if point[0] == metric]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": html.escape(group),
            "x": [point[2] for point in mine if point[1] == group],
            "y": [point[3] for point in mine if point[1] == group],
            "text": [html.escape(point[4]) for point in mine if point[1] == group],
            "marker": {"size": 6, "opacity": 0.7},
        }
        for group in dict.fromkeys(point[1] for point in mine)
    ]
    values = [value for point in mine for value in point[2:4] if value > 0.0] or [1.0]
    ends = [min(values) / 1.2, max(values) * 1.2]
    for band in (0.0, BAND, -BAND):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": ends,
                "y": [end * (1.0 + band) for end in ends],
                "showlegend": False,
                "hoverinfo": "skip",
                "line": {"color": "#59636c", "width": 1, "dash": "dot" if band else "solid"},
            }
        )
    name = metric.upper()
    return {
        "data": traces,
        "layout": {
            "title": {"text": name},
            "xaxis": {"type": "log", "title": {"text": f"measured {name} (ms)"}},
            "yaxis": {"type": "log", "title": {"text": f"predicted {name} (ms)"}},
        },
    }
