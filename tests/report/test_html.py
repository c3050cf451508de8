from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from boute.errors import OutputError
from boute.report.html import report_html, write_report
from boute.report.study_view import StudyView

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'>&\"'"


class Elements(HTMLParser):
    """Start tags, and all text that is outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.data = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        if attributes.get("id") == "report-data":
            self.data += data
        elif tag not in {"script", "style"}:
            self.text += data


def test_the_same_view_gives_the_same_bytes(
    make_view: Callable[..., StudyView], tmp_path: Path
) -> None:
    write_report(make_view(), tmp_path / "a.html")
    write_report(make_view(), tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_it_says_what_was_asked_and_found(view: StudyView) -> None:
    text = " ".join(Elements(report_html(view)).text.split())
    for words in (
        "8 plans make up the Pareto front, out of 20 evaluated.",
        "plan-01, reaches quality 0.671 and a P95 end-to-end latency of 6.1 s for $15.77 per hour.",
        "It meets every target.",
        "llama-3.1-70b (bf16)",
        "8 × h100-sxm at $2.99 per hour",
        "Poisson arrivals, 4 requests/s; median 900 input and 210 output tokens",
        "P95 time to first token at most 1 s",
        "95% interval 0.650 to 0.690",
        "±15% stated error",
        "a local search on cheap looks at plans",
        "pool llama-3.1-8b on l4 does not drain its queue",
        "APGR",
        "examples/quickstart/boute.yaml",
    ):
        assert words in text


def test_a_missed_target_and_failed_requests_are_told(view: StudyView) -> None:
    plan = view.plans[0]
    outcome = plan.predicted.model_copy(update={"quality": 0.4, "failed": 3})
    missed = replace(view, plans=(plan.model_copy(update={"predicted": outcome}),))
    text = Elements(report_html(missed)).text
    assert "It misses a target." in text
    assert "missed" in text
    assert "3 failed" in text
    assert "One plan makes up the Pareto front" in text


def test_nothing_is_loaded_from_elsewhere(view: StudyView) -> None:
    elements = Elements(report_html(view))
    named = [
        value
        for tag, attributes in elements.tags
        for name, value in attributes.items()
        if name in {"src", "href", "action", "data"}
    ]
    assert named == ["data:,"]
    assert ("script", {}) in elements.tags


def test_text_from_the_user_stays_text(make_view: Callable[..., StudyView]) -> None:
    page = report_html(make_view(title=HOSTILE, spec_file=HOSTILE))
    elements = Elements(page)
    assert [tag for tag, _ in elements.tags].count("script") == 3
    assert "img" not in {tag for tag, _ in elements.tags}
    assert elements.text.count("window.hacked = 1") == 3


def test_the_data_cannot_leave_its_element(view: StudyView) -> None:
    trial = replace(view.trials[-3], reason="</script><!-- <b>")
    page = report_html(replace(view, trials=(*view.trials, trial)))
    data = json.loads(Elements(page).data)
    assert data["infeasible"]["hover"][-1].endswith("&lt;/script&gt;&lt;!-- &lt;b&gt;")
    assert re.search(r'id="report-data">[^<]*</script>', page)


def test_very_many_trials_are_thinned(view: StudyView) -> None:
    many = replace(view, trials=view.trials + 7000 * (view.trials[8],))
    data = json.loads(Elements(report_html(many)).data)
    assert 1000 < len(data["dominated"]["values"]) <= 2000


@pytest.mark.parametrize(
    "objectives",
    [
        ("quality", "cost_per_hour"),
        ("ttft_p95_s", "tpot_p50_s", "goodput_per_s", "energy_j_per_token"),
    ],
)
def test_any_objectives_can_be_reported(
    make_view: Callable[..., StudyView], objectives: tuple[str, ...]
) -> None:
    data = json.loads(Elements(report_html(make_view(objectives=objectives))).data)
    assert len(data["axes"]) == len(objectives)


def test_a_view_without_curves_progress_or_router_can_be_reported(view: StudyView) -> None:
    bare = replace(
        view, latency_curves={}, progress=(), router={}, trials=(), infeasible_reasons={}
    )
    data = json.loads(Elements(report_html(bare)).data)
    assert data["curves"]["ttft"]["plans"] == {}
    assert data["progress"]["x"] == []


def test_a_file_that_cannot_be_written_is_an_output_error(view: StudyView, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_report(view, tmp_path / "file" / "report.html")


def test_a_view_needs_a_plan(view: StudyView) -> None:
    with pytest.raises(ValueError, match="at least one plan"):
        replace(view, plans=())
