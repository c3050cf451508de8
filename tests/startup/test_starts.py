"""Logs with what was started beside them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from boute.errors import DataError, ProfileError
from boute.startup.starts import read_start, read_starts

LOGS = Path(__file__).parent / "logs"
SIZES = {"weights_bytes": 2e7, "parameters": 1e7, "layers": 4, "tokenizer_bytes": 1e6}


def put(folder: Path, log: str, name: str | None = None, **changes: Any) -> Path:
    """A log of the examples, and what was started beside it."""
    started = {"model": "tiny", "device": "a machine", "cache": "cold", "sizes": SIZES} | changes
    target = folder / f"{name or log}.log"
    shutil.copyfile(LOGS / f"{log}.log", target)
    kept = {key: value for key, value in started.items() if value is not None}
    target.with_suffix(".yaml").write_text(yaml.safe_dump(kept))
    return target


def test_a_start_with_its_sizes(tmp_path):
    start = read_start(put(tmp_path, "v0.29-cpu-compiled"))
    assert (start.name, start.model, start.engine) == ("v0.29-cpu-compiled", "tiny", "vLLM 0.29.0")
    assert start.features.layers == 4
    assert (start.features.eager, start.features.captured_sizes) == (False, 0)
    assert start.steps["other"] == pytest.approx(1.5)
    assert sum(start.steps.values()) == pytest.approx(start.total_s)
    assert "capture" not in start.steps


def test_a_card_stands_for_sizes(tmp_path):
    log = put(tmp_path, "v0.11-tp2", sizes=None, card="qwen3-30b-a3b", tensor_parallel=2)
    features = read_start(log).features
    assert features.layers == 48
    assert features.weights_bytes == pytest.approx(30.5e9, rel=0.05)
    assert (features.gpus, features.captured_sizes) == (2, 3)


def test_what_the_file_says_counts_more_than_the_log(tmp_path):
    start = read_start(put(tmp_path, "v0.29-warm", eager=True, captured_sizes=7))
    assert (start.features.eager, start.features.captured_sizes) == (True, 7)


def test_logs_of_a_folder_in_order(tmp_path):
    for name in ("b", "a"):
        put(tmp_path, "v0.29-cpu-eager", name)
    (tmp_path / "notes.txt").write_text("none of these")
    assert [start.name for start in read_starts([tmp_path])] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": None}, "one of card and sizes"),
        ({"card": "llama-3.1-8b"}, "one of card and sizes"),
        ({"cache": "lukewarm"}, "cache"),
        ({"model": None}, "model"),
        ({"sizes": SIZES | {"layers": 0}}, "sizes.layers"),
        ({"sizes": SIZES | {"bytes": 1}}, "bytes"),
    ],
)
def test_what_was_started_is_checked(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read_start(put(tmp_path, "v0.29-cpu-eager", **changes))


def test_a_card_that_is_not_there(tmp_path):
    with pytest.raises(ProfileError, match="no model card 'nope'"):
        read_start(put(tmp_path, "v0.29-warm", sizes=None, card="nope"))


def test_a_log_without_what_was_started(tmp_path):
    log = put(tmp_path, "v0.29-warm")
    log.with_suffix(".yaml").unlink()
    with pytest.raises(DataError, match=r"v0.29-warm.yaml: is missing"):
        read_start(log)


def test_a_start_that_did_not_end(tmp_path):
    log = put(tmp_path, "v0.29-warm")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match=r"does not show a whole start.*before the engine is ready"):
        read_start(log)


def test_a_folder_without_logs(tmp_path):
    with pytest.raises(DataError, match=r"no \.log file"):
        read_starts([tmp_path])


@pytest.mark.parametrize(
    ("log", "changes"), [("v0.29-warm", {"device": "another"}), ("v0.10-warm", {})]
)
def test_devices_and_versions_are_not_mixed(tmp_path, log, changes):
    put(tmp_path, "v0.29-cpu-eager", "a")
    put(tmp_path, log, "b", **changes)
    with pytest.raises(DataError, match="fit each"):
        read_starts([tmp_path])
