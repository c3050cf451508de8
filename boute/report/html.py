"""The HTML report: one file with everything in it, opened from a disk without a network.

The template escapes all text. A content security policy allows the two scripts of the report by
their hashes and nothing else, so that even markup that slipped through would do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path

from boute.files import write_text
from boute.report.figures import figure_data
from boute.report.page import page_text
from boute.report.study_view import StudyView

__all__ = ["report_html", "script_json", "write_report"]


def write_report(view: StudyView, path: Path) -> None:
    """Write the report, the same bytes for the same view; raise OutputError."""
    write_text(path, report_html(view))


def report_html(view: StudyView) -> str:
    """The report as one HTML document of about 5 MB, nearly all of it plotly.js."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    scripts = {"plotly": get_plotlyjs(), "script": _resource("report.js")}
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(_resource("report.html"))
    return template.render(
        page_text(view),
        policy="; ".join(
            [
                "default-src 'none'",
                f"script-src {' '.join(_source_hash(script) for script in scripts.values())}",
                "style-src 'unsafe-inline'",
                "img-src data: blob:",
            ]
        ),
        style=Markup(_resource("report.css")),
        data=Markup(script_json(figure_data(view))),
        **{name: Markup(script) for name, script in scripts.items()},
    )


def script_json(data: object) -> str:
    """JSON that cannot end the script element that holds it, nor open a comment in it."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _source_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _resource(name: str) -> str:
    return files("boute.report").joinpath(name).read_text(encoding="utf-8")
