from pathlib import Path

import numpy as np
import pytest

from boute.errors import DataError
from boute.routing.preset import QualityPreset, load_preset, preset_names, sample
from boute.routing.table import load_quality_table
from boute.spec.family import ModelChoice
from boute.spec.quality import Quality


@pytest.mark.parametrize("name", preset_names())
def test_shipped_presets_sample_what_they_state(name: str) -> None:
    preset = load_preset(name)
    rows = sample(preset)
    shares = np.array([task.share for task in preset.tasks.values()])
    accuracy = shares @ np.array([task.accuracy for task in preset.tasks.values()])
    tokens = shares @ np.array([task.output_tokens_mean for task in preset.tasks.values()])
    assert shares.sum() == pytest.approx(1, abs=1e-3)
    assert rows.quality.mean(axis=0) == pytest.approx(
        accuracy, abs=2.0 * np.sqrt(0.25 / len(rows.score))
    )
    assert rows.output_tokens.mean(axis=0) == pytest.approx(tokens, rel=0.05)
    assert set(np.unique(rows.quality)) == {0.0, 1.0}
    assert rows.output_tokens.min() >= 1
    assert 0 < rows.score.min() < rows.score.max() < 1
    # The dearest model is the best and the cheapest the worst, those between in the order stated,
    # and the score tells easy queries from hard ones.
    order = np.argsort(accuracy).tolist()
    assert np.argsort(rows.quality.mean(axis=0)).tolist() == order
    assert (order[0], order[-1]) == (0, len(order) - 1)
    easy = rows.score <= np.median(rows.score)
    assert rows.quality[easy, 0].mean() > rows.quality[~easy, 0].mean()


def test_sampling_is_the_same_every_time() -> None:
    first, second = sample(load_preset("llama-3.1")), sample(load_preset("llama-3.1"))
    assert first.quality.tobytes() == second.quality.tobytes()
    assert first.output_tokens.tobytes() == second.output_tokens.tobytes()
    assert first.score.tobytes() == second.score.tobytes()


def test_models_are_found_by_card_or_name(tmp_path: Path) -> None:
    models = [ModelChoice(name="huge", card="llama-3.1-405b"), ModelChoice(name="llama-3.1-8b")]
    table = load_quality_table(Quality(table="llama-3.1"), models, tmp_path)
    whole = sample(load_preset("llama-3.1"))
    assert table.models == ("huge", "llama-3.1-8b")
    assert np.array_equal(table.quality, whole.quality[:, [2, 0]])
    assert np.array_equal(table.output_tokens, whole.output_tokens[:, [2, 0]])


def test_refusals_say_what_the_preset_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no gemma-2b; it has llama-3.1-8b, llama-3.1-70b"):
        load_quality_table(Quality(table="llama-3.1"), [ModelChoice(name="gemma-2b")], tmp_path)
    quality = Quality(table="llama-3.1", query="text")
    with pytest.raises(DataError, match="takes no query"):
        load_quality_table(quality, [ModelChoice(name="llama-3.1-8b")], tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": [0.5, 0.6]}, "one entry a model"),
        ({"correlation": [[0.1]]}, "triangle of 2 rows"),
        ({"correlation": [[0.9], [0.9, -0.9]]}, "positive definite"),
    ],
)
def test_impossible_parameters(change: dict[str, object], message: str) -> None:
    task = {
        "share": 1.0,
        "accuracy": [0.5],
        "output_tokens_mean": [100.0],
        "output_tokens_sd": [50.0],
        "score_logit_mean": 0.0,
        "score_logit_sd": 1.0,
        "correlation": [[0.1], [0.2, 0.3]],
    }
    data = {"source": "none", "models": ["m"], "tasks": {"t": task}}
    assert QualityPreset.model_validate(data).models == ["m"]
    with pytest.raises(ValueError, match=message):
        QualityPreset.model_validate(data | {"tasks": {"t": task | change}})
