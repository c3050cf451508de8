"""From fits to the file of coefficients: medians for what was not measured, residuals, sources."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from boute.calibration.aiconfigurator import TABLES, fit_aiconfigurator
from boute.calibration.fitting import Fit, shortened
from boute.calibration.mixed import FLASH_ATTENTION_2, fit_mixed
from boute.calibration.other_kernels import HELIX, fit_helix, fit_llmservingsim, fit_vidur
from boute.performance.coefficients import (
    CoefficientTable,
    LinkPiece,
    MatrixCoefficients,
    StepCoefficients,
)
from boute.profiles.catalog import load_gpu

__all__ = ["fit_all", "fit_table"]

FIGURES = ("attention", "attention_stream", "kv", "kv_fp8", "layer_us", "layer_sequence_us")
MEDIAN_SOURCE = "median of the fitted GPU types"
NOT_CHECKED = "not checked yet"
# Quantising activations before an fp8 multiplication costs a launch more than bf16. Collectors of
# older vLLM timed it with Python between the kernels, which a captured graph has not.
QUANTISE_US = 2.5
MIXED = ("mixed_rows", "mixed_tile_ps")


def fit_all(data: Path) -> tuple[dict[str, Fit], list[str]]:
    """Fits by GPU type from whatever is in a data folder, and what is not there."""
    jobs: dict[str, Callable[[], Fit]] = {
        name: partial(fit_aiconfigurator, load_gpu(name, Path()), tables, data)
        for name, tables in TABLES.items()
    }
    jobs["rtx-4090"] = partial(fit_llmservingsim, load_gpu("rtx-4090", Path()), data)
    jobs["a40"] = partial(fit_vidur, load_gpu("a40", Path()), data)
    for name, folder in HELIX.items():
        jobs[name] = partial(fit_helix, load_gpu(name, Path()), folder, data)
    fits, missing = {}, []
    for name, job in jobs.items():
        try:
            fits[name] = job()
        except OSError as problem:
            missing.append(f"{name}: {problem}")
    return {name: _with_mixed(name, found, data) for name, found in fits.items()}, missing


def _with_mixed(name: str, found: Fit, data: Path) -> Fit:
    """A fit with that of mixed steps, where they were measured."""
    if name not in FLASH_ATTENTION_2 or "attention" not in found.figures:
        return found
    try:
        figures, error = fit_mixed(load_gpu(name, Path()), found.figures["attention"], data)
    except OSError:
        return found
    return replace(
        found,
        figures={**found.figures, **figures},
        residuals={**found.residuals, "mixed": error},
    )


def fit_table(fits: Mapping[str, Fit], before: CoefficientTable) -> CoefficientTable:
    """The whole file. Of the one before, the host and the errors stated by GPU type are kept.

    A GPU type of it that has no kernels takes the medians.
    """
    pcie = {name for name in fits if load_gpu(name, Path()).interconnect.topology == "pcie"}
    links = {
        over_pcie: _median_links([f for name, f in fits.items() if (name in pcie) == over_pcie])
        for over_pcie in (False, True)
    }
    middle = _medians(fits)
    gpus = {
        name: _completed(
            found, {**middle, **_mixed(name, fits)}, links[name in pcie], _errors(before, name)
        )
        for name, found in sorted(fits.items())
    }
    default = {**middle, "source": MEDIAN_SOURCE, "residuals": {}}
    for name, old in before.gpus.items():
        if name not in fits:
            over_pcie = load_gpu(name, Path()).interconnect.topology == "pcie"
            errors = old.model_dump(include={"tpot_error", "ttft_error", "error_source"})
            values = {**default, **_mixed(name, fits), "links": links[over_pcie], **errors}
            gpus[name] = StepCoefficients(**values)
    errors = before.default.model_dump(include={"tpot_error", "ttft_error", "error_source"})
    return CoefficientTable(
        fitted_on=str(datetime.date.today()),
        host=before.host,
        pcie_links=links[True],
        default=StepCoefficients(**{**default, "links": links[False], **errors}),
        gpus=gpus,
    )


def _medians(fits: Mapping[str, Fit]) -> dict[str, object]:
    """Medians over the GPU types that have a figure; of matrices over those with all four."""
    whole = [f for f in fits.values() if f.bf16.launch_us > 0.0]
    values: dict[str, object] = {
        name: shortened(float(np.median([f.figures[name] for f in whole if name in f.figures])))
        for name in FIGURES
    }
    values["bf16"] = _median_matrices([f.bf16 for f in whole])
    values["fp8"] = _median_matrices([_fp8(f) for f in whole if f.fp8 is not None])
    return values


def _mixed(name: str, fits: Mapping[str, Fit]) -> dict[str, float]:
    """What steps of prompts and decodes take more, in the middle, where the same attention runs."""
    known = [f.figures for f in fits.values() if MIXED[0] in f.figures]
    if name not in FLASH_ATTENTION_2 or not known:
        return {}
    return {key: shortened(float(np.median([part[key] for part in known]))) for key in MIXED}


def _fp8(found: Fit) -> MatrixCoefficients:
    assert found.fp8 is not None
    limit = shortened(found.bf16.launch_us + QUANTISE_US)
    return found.fp8.model_copy(update={"launch_us": min(found.fp8.launch_us, limit)})


def _median_matrices(parts: list[MatrixCoefficients]) -> MatrixCoefficients:
    return MatrixCoefficients(
        **{
            name: shortened(float(np.median([getattr(part, name) for part in parts])))
            for name in MatrixCoefficients.model_fields
        }
    )


def _median_links(fits: list[Fit]) -> dict[int, list[LinkPiece]]:
    """Of each group size the fit with the most pieces, whose shares are nearest to the median."""
    made = {}
    for group in (2, 4, 8):
        known = [f.links[group] for f in fits if group in f.links]
        most = max((len(pieces) for pieces in known), default=0)
        full = sorted(
            (pieces for pieces in known if len(pieces) == most), key=lambda p: p[-1].share
        )
        if full:
            made[group] = full[(len(full) - 1) // 2]
    return made


def _completed(
    found: Fit,
    middle: Mapping[str, object],
    links: Mapping[int, list[LinkPiece]],
    errors: Mapping[str, object],
) -> StepCoefficients:
    """The medians in the place of what is missing.

    Other tensor rates are in proportion to that of bf16: what holds one back, power most of all,
    holds back the others.
    """
    usual, fp8, attention = middle["bf16"], middle["fp8"], middle["attention"]
    assert isinstance(usual, MatrixCoefficients)
    assert isinstance(fp8, MatrixCoefficients)
    assert isinstance(attention, float)
    scale = found.bf16.rate / usual.rate
    values: dict[str, object] = {
        **middle,
        "attention": shortened(min(1.2, attention * scale)),
        "fp8": fp8.model_copy(update={"rate": shortened(min(1.2, fp8.rate * scale))}),
        **{name: shortened(value) for name, value in found.figures.items()},
        "bf16": _launched(found.bf16, usual),
        "links": found.links or links,
        "source": found.source + "; the rest as default",
        "residuals": dict(found.residuals),
    }
    if found.fp8 is not None:
        values["fp8"] = _fp8(found)
    return StepCoefficients(**{**values, **errors})


def _launched(found: MatrixCoefficients, usual: MatrixCoefficients) -> MatrixCoefficients:
    """With the usual launch where a fit could not tell one."""
    return (
        found if found.launch_us > 0.0 else found.model_copy(update={"launch_us": usual.launch_us})
    )


def _errors(before: CoefficientTable, name: str) -> dict[str, object]:
    """The errors that were stated for a GPU type; those of the default for a new one."""
    record = before.gpus.get(name, before.default)
    return record.model_dump(include={"tpot_error", "ttft_error", "error_source"})
