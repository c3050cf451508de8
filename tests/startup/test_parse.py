"""Seconds of the steps, from logs in the wordings of several versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.errors import DataError
from boute.startup.parse import parse_file, parse_lines
from boute.startup.steps import STEPS

LOGS = Path(__file__).parent / "logs"

# bootstrap, loading, compile, profiling, capture; what is left; the whole; cache, captured, workers
EXPECTED: dict[str, tuple[Any, ...]] = {
    "v0.10-warm": (20.0, 2.75, 8.5, 2.0, 2.0, 3.75, 39.0, "warm", 11, 1),
    "v0.10-cold": (12.0, 1.1, 21.0, 6.0, 1.0, 3.9, 45.0, "cold", 4, 1),
    "v0.10-ray": (22.0, 6.0, 7.25, 17.25, 21.0, 4.5, 78.0, "warm", None, 2),
    "v0.11-tp2": (20.0, 25.25, 17.5, 3.5, 19.0, 7.75, 93.0, "warm", 3, 2),
    "v0.21-cold-draft": (20.5, 36.0, 53.0, 17.0, 5.0, 3.25, 134.75, "cold", 4, 1),
    "v0.29-warm": (20.0, 3.6, 1.4, 4.6, 3.0, 3.4, 36.0, "warm", 3, 1),
    "v0.29-cpu-compiled": (13.5, 0.25, 19.75, 0.5, None, 1.5, 35.5, "cold", 0, 1),
    "v0.29-cpu-eager": (12.5, 0.25, None, 0.4, None, 0.85, 14.0, None, 0, 1),
}


def lines_of(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_text().splitlines()


def test_every_log_is_expected() -> None:
    assert {file.stem for file in LOGS.glob("*.log")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_steps_of_a_log(name: str) -> None:
    found = parse_file(LOGS / f"{name}.log")
    *steps, left, total, cache, captured, workers = EXPECTED[name]
    names = [step for step in STEPS if step != "tokenizer"]
    assert [found.steps[step] for step in names] == pytest.approx(steps)
    assert found.unexplained_s == pytest.approx(left)
    assert found.total_s == pytest.approx(total)
    assert (found.cache, found.captured_sizes, found.workers) == (cache, captured, workers)
    assert found.version is not None
    assert name.startswith(f"v{found.version.rsplit('.', name.count('.'))[0][:4]}")
    assert found.eager == name.endswith("eager")
    assert found.notes == ()


def test_graphs_of_the_cache_are_told_apart_from_the_total() -> None:
    """In 0.10 and 0.11 the total of a warm start is that of tracing alone."""
    lines = [line for line in lines_of("v0.10-warm") if "Directly load" not in line]
    assert parse_lines(lines, where="log").steps["compile"] == 5.0


def test_totals_that_grow_are_not_added_up() -> None:
    """In older versions the total after a draft model includes the model before it."""
    lines = lines_of("v0.10-cold")
    place = next(number for number, line in enumerate(lines) if "torch.compile takes" in line)
    draft = lines[place].replace("21.00", "21.50")
    found = parse_lines([*lines[: place + 1], draft, *lines[place + 1 :]], where="log")
    assert found.steps["compile"] == 21.5


def test_compiling_and_running_together() -> None:
    """As newer versions say it where a model is not compiled ahead of time."""
    text = "torch.compile and initial profiling/warmup run together took 24.00 s in total"
    lines = [
        line.replace("torch.compile takes 21.00 s in total", text)
        for line in lines_of("v0.10-cold")
        if "Compiling a graph" not in line
    ]
    found = parse_lines(lines, where="log")
    assert (found.steps["compile"], found.steps["profiling"]) == (24.0, 3.0)


def test_the_engine_s_own_words_on_compiling_will_do() -> None:
    kept = [
        line
        for line in lines_of("v0.21-cold-draft")
        if not any(word in line for word in ("torch.compile took", "Dynamo", "Compiling a"))
    ]
    assert parse_lines(kept, where="log").steps["compile"] == 53.0


def test_the_tokenizer_where_it_is_told() -> None:
    """As the patched vLLM of the paper's artifact does."""
    line = "INFO 08-07 09:00:13 [llm_engine.py:93] NEW: Init Tokenizer took 0.25 seconds"
    lines = lines_of("v0.10-warm")
    found = parse_lines([*lines[:4], line, *lines[4:]], where="log")
    assert (found.steps["bootstrap"], found.steps["tokenizer"]) == (19.75, 0.25)


def test_profiling_without_the_end_of_the_engine() -> None:
    line = "DEBUG 08-07 09:00:34 [gpu_worker.py:275] Memory profiling takes 10.00 seconds. Total"
    lines = [line, *(line for line in lines_of("v0.10-warm") if "init engine" not in line)]
    assert parse_lines(lines, where="log").steps["profiling"] == 1.5


def test_a_log_cut_short_says_what_it_can() -> None:
    lines = lines_of("v0.10-warm")
    place = next(number for number, line in enumerate(lines) if "monitor.py" in line)
    found = parse_lines(lines[: place + 1], where="log")
    assert (found.steps["bootstrap"], found.steps["compile"]) == (20.0, 8.5)
    assert found.steps["capture"] is found.total_s is found.unexplained_s is None
    assert found.notes == ("the log ends before the engine is ready",)


def test_a_log_without_its_beginning_says_so() -> None:
    lines = lines_of("v0.10-warm")
    place = next(number for number, line in enumerate(lines) if "Graph capturing" in line)
    found = parse_lines(lines[place:], where="log")
    assert found.unexplained_s == 0.0
    assert "is the beginning of the log missing" in found.notes[0]


def test_lines_without_times_say_so() -> None:
    lines = [line[line.find("] ") + 2 :] for line in lines_of("v0.10-warm")]
    found = parse_lines(lines, where="log")
    assert (found.steps["loading"], found.steps["bootstrap"]) == (2.75, None)
    assert "no times" in found.notes[0]


def test_of_two_starts_the_one_that_got_ready_is_read() -> None:
    crashed = lines_of("v0.10-cold")[:8]
    found = parse_lines([*crashed, *lines_of("v0.10-warm")], where="log")
    assert (found.total_s, found.version) == (34.0, "0.10.1.1")
    assert found.notes == ("of several starts in the log the first that got ready is read",)


def test_a_restart_is_not_mixed_in() -> None:
    log = lines_of("v0.29-warm")
    alone, found = parse_lines(log, where="log"), parse_lines(log + log, where="log")
    assert (found.steps, found.total_s) == (alone.steps, alone.total_s)


def test_engines_side_by_side_take_as_long_as_the_slowest() -> None:
    first = lines_of("v0.29-warm")
    second = [
        line.replace("EngineCore pid=90", "EngineCore_DP1 pid=91").replace("3.600000", "5.500000")
        for line in first
        if "EngineCore" in line
    ]
    mixed = [first[0], *sorted([*first[1:-2], *second], key=lambda line: line[20:60]), *first[-2:]]
    found = parse_lines(mixed, where="log")
    assert found.engines == 2
    assert found.steps["loading"] == 5.5
    assert found.steps["capture"] == 3.0
    assert any("2 engines" in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x7fELF\0\0\1", "is not text"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "no line of a start"),
        ("ein Log über etwas anderes\n".encode("latin-1"), "no line of a start"),
        (b"INFO 08-07 09:00:00 [a.py:1] Application startup complete.\n", "no line of a start"),
    ],
)
def test_what_is_no_log_of_a_start(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        parse_file(path)
    assert raised.value.where == str(path)


@pytest.mark.parametrize("name", ["missing.log", ".", "a\0b"])
def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        parse_file(tmp_path / name)


KNOWN = [line for name in EXPECTED for line in lines_of(name)]
PIECES = st.one_of(st.sampled_from(KNOWN), st.text(max_size=80))


@given(st.lists(PIECES, max_size=60))
def test_any_lines_give_steps_within_the_whole_or_a_note(lines: list[str]) -> None:
    try:
        found = parse_lines(lines, where="log")
    except DataError:
        return
    assert all(seconds is None or seconds >= 0 for seconds in found.steps.values())
    if found.total_s is not None:
        assert found.unexplained_s is not None
        whole = found.explained_s + found.unexplained_s
        assert whole == pytest.approx(max(found.total_s, found.explained_s))
        assert found.explained_s <= found.total_s + 2.0 or found.notes


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.log"
    path.write_bytes(data)
    with pytest.raises(DataError):
        parse_file(path)
