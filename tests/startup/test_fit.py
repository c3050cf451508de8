"""Known coefficients come back, errors are stated, and too little is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from boute.errors import DataError
from boute.startup.fit import fit_starts, leave_one_out
from boute.startup.model import predict


def test_known_coefficients_come_back(made_starts, true_steps):
    fit = fit_starts(made_starts(), source="made")
    moved = {"bootstrap", "other"}  # the tokenizer's part of these is booked as its own
    for step, true in true_steps.items():
        terms = {term: value for term, value in true.terms.items() if term != "tokenizer_mb"}
        assert fit.steps[step].terms == pytest.approx(terms if step in moved else true.terms)
        assert fit.steps[step].residual_s == pytest.approx(0.0, abs=1e-6)
    assert fit.steps["tokenizer"].terms == pytest.approx({"tokenizer_mb": 0.05})
    assert fit.left_out is not None
    assert fit.left_out.worst_error < 1e-3


def test_a_prediction_is_the_sum_of_its_steps(made_starts):
    starts = made_starts()
    fit = fit_starts(starts, source="made")
    for start in starts:
        found = predict(fit, start.features)
        assert found.ready_s == pytest.approx(start.total_s, rel=1e-3)
        assert sum(found.steps.values()) == pytest.approx(found.ready_s)


def test_no_step_takes_less_than_nothing(made_starts):
    starts = [
        dataclasses.replace(
            start, steps=start.steps | {"loading": 5.0 - start.features.layers / 48}
        )
        for start in made_starts()
    ]
    terms = fit_starts(starts, source="made").steps["loading"].terms
    assert min(terms.values()) >= 0.0


def longer(start, factor):
    steps = {step: factor * seconds for step, seconds in start.steps.items()}
    return dataclasses.replace(start, steps=steps, total_s=factor * start.total_s)


def test_the_error_is_that_of_models_left_out(made_starts):
    """A model that is unlike the others is told by its own error, not by the fit to it."""
    starts = made_starts(models=12, noise=0.01)
    usual = leave_one_out(starts)
    odd = [longer(start, 1.4) if start.model == "m3" else start for start in starts]
    found = leave_one_out(odd)
    assert usual.worst_error < 0.1
    assert found.worst_start.startswith("m3.")
    assert found.worst_error > 0.25
    assert found.mean_error < found.worst_error
    assert fit_starts(odd, source="made").error == pytest.approx(found.mean_error)


def test_leaving_out_means_not_seen(made_starts):
    """The error of a model is that of a fit to all other models."""
    starts = made_starts(models=4, noise=0.05)
    errors = []
    for model in ("m0", "m1", "m2", "m3"):
        others = [start for start in starts if start.model != model]
        fit = fit_starts(others, source="made")
        errors += [
            abs(predict(fit, start.features).ready_s / start.total_s - 1)
            for start in starts
            if start.model == model
        ]
    found = leave_one_out(starts)
    assert found.mean_error == pytest.approx(np.mean(errors), rel=1e-3)
    assert found.worst_error == pytest.approx(max(errors), rel=1e-3)


def test_a_step_that_no_log_tells_is_left_out(made_starts):
    starts = [
        dataclasses.replace(
            start, steps={step: value for step, value in start.steps.items() if step != "capture"}
        )
        for start in made_starts()
    ]
    assert "capture" not in fit_starts(starts, source="made").steps


@pytest.mark.parametrize("models", [1, 2])
def test_too_few_models_are_refused(made_starts, models):
    with pytest.raises(DataError, match=f"{models} models"):
        fit_starts(made_starts(models=models), source="made")
