from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from boute.report.png import write_front_png
from boute.report.study_view import StudyView


def picture(view: StudyView, path: Path) -> bytes:
    write_front_png(view, path)
    return path.read_bytes()


def test_the_picture_is_not_blank_and_the_same_each_time(
    make_view: Callable[..., StudyView], tmp_path: Path
) -> None:
    data = picture(make_view(), tmp_path / "a.png")
    assert data == picture(make_view(), tmp_path / "b.png")
    assert b"matplotlib" not in data
    pixels = imread(io.BytesIO(data), format="png")
    assert pixels.shape[:2] == (750, 1200)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 200


def test_what_the_study_found_changes_the_picture(view: StudyView, tmp_path: Path) -> None:
    fewer = replace(view, trials=view.trials[:8])
    other = replace(view, plans=(*view.plans[1:], view.plans[0]))
    pictures = [picture(each, tmp_path / "a.png") for each in (view, fewer, other)]
    assert len(set(pictures)) == 3


@pytest.mark.parametrize(
    "objectives",
    [
        ("quality", "cost_per_hour"),
        ("quality", "goodput_per_s"),
        ("e2e_p95_s", "ttft_p95_s", "cost_per_million_tokens", "energy_j_per_token"),
    ],
)
def test_any_objectives_can_be_drawn(
    make_view: Callable[..., StudyView], tmp_path: Path, objectives: tuple[str, ...]
) -> None:
    assert picture(make_view(objectives=objectives), tmp_path / "a.png")


def test_a_title_is_text_and_neither_mathematics_nor_a_warning(
    make_view: Callable[..., StudyView], tmp_path: Path
) -> None:
    assert picture(make_view(title=r"$\frac{ 5 $ a day, 車隊"), tmp_path / "a.png")
