"""The measured tables as Markdown, for docs/routing.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.routers.judging import Result
from benchmarks.routers.published import PUBLISHED
from boute.routing.evaluation.bootstrap import Estimate, Resamples
from boute.routing.evaluation.pairs import PairResult, apgr_difference

SHOWN_TASKS = 5


def tables(results: Sequence[Result], resamples: int) -> str:
    """All of them, one after the other, under their headings."""
    kinds = list(dict.fromkeys(result.kind for result in results))
    parts = [_ends(results), _pairs(results), _family(results)]
    if {"lexical", "embedding"} <= set(kinds):
        parts.append(_against(results, resamples))
    parts += [_published(), _calibration(results), _lengths(results), _tasks(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _ends(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        pair = result.evaluation.score
        assert pair is not None
        groups = (
            f"{result.evaluation.clusters} {'tasks' if result.evaluation.by_task else 'groups'}"
        )
        rows.append(
            [
                *_case(result),
                str(result.evaluation.rows),
                groups,
                f"{pair.weak_quality:.3f} {pair.strong_quality:.3f}",
                _with(pair.apgr),
                "yes" if pair.beats_random else "no",
                f"{pair.oracle:.2f}",
                f"{pair.of_oracle.value:.0%}",
                f"{pair.cpt_50.value:.1%}",
                f"{pair.cpt_80.value:.1%}",
            ]
        )
    head = ["table", "held out", "kind", "rows", "drawn", "quality", "APGR, 95%", "above 0.5"]
    title = "The score that thresholds cut, between the cheapest model and the dearest:"
    return _table(title, [*head, "oracle", "of its gain", "CPT50", "CPT80"], rows)


def _pairs(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        pairs = [line.result for line in result.evaluation.pairs]
        if len(pairs) < 2:
            continue
        above = sum(pair.beats_random for pair in pairs)
        values = sorted(pair.apgr.value for pair in pairs)
        worst = min(pairs, key=lambda pair: pair.apgr.value)
        rows.append(
            [
                *_case(result),
                f"{above} of {len(pairs)}",
                f"{values[len(values) // 2]:.3f}",
                f"{_pair(worst)}: {_with(worst.apgr)}",
            ]
        )
    title = "Every two models, by the difference of their predicted qualities:"
    return _table(title, ["table", "held out", "kind", "above 0.5", "median APGR", "least"], rows)


def _family(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        family = result.evaluation.family
        if family is not None:
            rows.append(
                [
                    *_case(result),
                    _with(family.aiq, 4),
                    f"{family.random:.4f}",
                    f"{family.oracle:.4f}",
                    _with(family.gain, 4),
                    f"{family.of_oracle.value:.1%}",
                ]
            )
    title = (
        "The family, AIQ with parameters as the price of a token; chance is the same predictions\n"
        "dealt to other queries:"
    )
    head = ["table", "held out", "kind", "AIQ, 95%", "chance", "oracle", "gain, 95%", "of oracle's"]
    return _table(title, head, rows)


def _against(results: Sequence[Result], resamples: int) -> str:
    lexical = {id(result.case): result for result in results if result.kind == "lexical"}
    rows = []
    for result in results:
        other = lexical.get(id(result.case))
        if result.kind == "lexical" or other is None:
            continue
        drawn = Resamples(result.judged.clusters, count=resamples)
        quality = result.judged.quality[:, [0, -1]]
        found = apgr_difference(quality, result.judged.score, other.judged.score, drawn)
        verdict = "better" if found.low > 0 else "worse" if found.high < 0 else "not told apart"
        rows.append(
            [*_case(result), f"{found.value:+.3f}, {found.low:+.3f} to {found.high:+.3f}", verdict]
        )
    title = "APGR less that of the lexical kind on the same rows:"
    return _table(title, ["table", "held out", "kind", "difference, 95%", ""], rows)


def _published() -> str:
    rows = [
        [
            each.benchmark,
            each.router,
            each.trained_on,
            _share(each.apgr, 3),
            _share(each.cpt_50),
            _share(each.cpt_80),
            each.place,
        ]
        for each in PUBLISHED
    ]
    title = "What RouteLLM publishes (arXiv 2406.18665v4), Mixtral-8x7B against GPT-4:"
    head = ["benchmark", "router", "trained on", "APGR", "CPT50", "CPT80", "where"]
    return _table(title, head, rows)


def _calibration(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        cells = []
        for each in (result.raw, result.fitted, result.after):
            errors = [model.ece for model in each]
            cells.append(f"{max(errors):.3f}")
        chance = max(model.ece_by_chance for model in result.after)
        brier = sum(model.brier for model in result.after) / len(result.after)
        met = "yes" if max(model.ece for model in result.after) <= 0.05 else "no"
        rows.append([*_case(result), *cells, met, f"{chance:.3f}", f"{brier:.3f}"])
    title = (
        "ECE of the worst model in ten bins of equal mass: of the heads alone, as fitted on the\n"
        "other tasks or groups, and calibrated on other rows of what is judged, as `boute router\n"
        "calibrate` does:"
    )
    head = ["table", "held out", "kind", "heads", "as fitted", "calibrated", "at most 0.05"]
    return _table(title, [*head, "by chance", "Brier"], rows)


def _lengths(results: Sequence[Result]) -> str:
    rows = [
        [
            *_case(result),
            line.model,
            f"{line.coverage:.1%}",
            f"{after:.1%}",
            f"{line.intended:.0%}",
            f"{width:.1f}",
            f"{line.mean_ratio:.2f}",
        ]
        for result in results
        for line, after, width in zip(
            result.evaluation.lengths, result.covered, _widths(result), strict=True
        )
    ]
    title = (
        "Answers whose length is in its interval, as fitted, and calibrated on other rows of what\n"
        "is judged; the upper end of the interval over the lower, as fitted, in the median; and\n"
        "mean predicted length over mean seen:"
    )
    head = ["table", "held out", "kind", "model", "as fitted", "calibrated", "intended"]
    return _table(title, [*head, "width", "mean"], rows)


def _widths(result: Result) -> list[float]:
    """Upper over lower end of the intervals, the median a model whose lengths are known."""
    if not result.evaluation.lengths:
        return []
    prediction = result.judged.prediction
    widths: list[float] = np.median(prediction.output_high / prediction.output_low, axis=0).tolist()
    return widths


def _tasks(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        lines = [(line.score.apgr, line) for line in result.tasks if line.score is not None]
        lines = sorted(
            [each for each in lines if not math.isnan(each[0].low)], key=lambda each: each[0].value
        )
        few = lines if len(lines) <= 2 * SHOWN_TASKS else lines[:SHOWN_TASKS] + lines[-2:]
        rows += [
            [
                *_case(result),
                line.task,
                str(line.rows),
                f"{line.quality[0]:.2f} {line.quality[-1]:.2f}",
                _with(apgr),
            ]
            for apgr, line in few
        ]
    title = "Inside single tasks, where the task's own level says nothing, the worst first:"
    return _table(
        title, ["table", "held out", "kind", "task", "rows", "quality", "APGR, 95%"], rows
    )


def _case(result: Result) -> list[str]:
    return [result.case.name, result.case.held_out, result.kind]


def _pair(pair: PairResult) -> str:
    return f"{pair.weak}, {pair.strong}"


def _with(value: Estimate, digits: int = 3) -> str:
    if math.isnan(value.low):
        return f"{value.value:.{digits}f}, no interval"
    return f"{value.value:.{digits}f}, {value.low:.{digits}f} to {value.high:.{digits}f}"


def _share(value: float | None, digits: int | None = None) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}f}" if digits is not None else f"{value:.1%}"


def _table(title: str, head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([title, "", *("| " + " | ".join(line) + " |" for line in lines)])
