from __future__ import annotations

import io

from rich.console import Console

from boute.report.study_view import StudyView
from boute.report.terminal import plan_tables


def test_a_plan_is_shown_with_all_its_parts(view: StudyView) -> None:
    file = io.StringIO()
    console = Console(width=100, file=file, color_system=None)
    for part in plan_tables(view.plans[3]):
        console.print(part)
    text = file.getvalue()
    assert text.startswith("plan-04: quality 0.628 (0.607 to 0.647), P95 end to end 7.9 s (±15%)")
    for words in ("Routing", "Score up to", "60%", "h100-sxm TP2", "658 ms", "In the queue", "21%"):
        assert words in text


def test_a_plan_without_targets_has_no_table_of_them(view: StudyView) -> None:
    plan = view.plans[0]
    spec = plan.spec.model_copy(update={"targets": type(plan.spec.targets)()})
    assert len(plan_tables(plan.model_copy(update={"spec": spec}))) == len(plan_tables(plan)) - 2
