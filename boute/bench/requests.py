"""A trace as requests that can be sent: a body for each arrival.

A row with a `body` (JSON Lines) is sent as it is; a row with text (`query`, `question`, `prompt`
or `text`) becomes a request that the model ends when it has done; a row with neither gets random
common words, about one token each, and as many output tokens as the trace says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from boute.errors import DataError
from boute.routing.router import QUERY_HEADERS
from boute.routing.table import TEXT_COLUMNS, QualityTable
from boute.spec.load import resolve
from boute.spec.workload import WorkloadSource
from boute.tables import Table, read_table, table_file
from boute.workload.arrays import Ints, Trace
from boute.workload.presets import preset_names
from boute.workload.source import load_trace

__all__ = ["BenchRequest", "Endpoint", "Load", "Shape", "load_requests", "with_queries", "words"]

Endpoint = Literal["chat", "completions"]

_PATHS: Final[dict[Endpoint, str]] = {
    "chat": "v1/chat/completions",
    "completions": "v1/completions",
}
_STREAM: Final = 3
"""Keeps these draws apart from others made with the same seed."""

# Short words that are one token with a space before them in the usual vocabularies.
_WORDS: Final = (
    "the of and to in is that for it as was with be by on not he his but at are this have from or "
    "had an they which one you were her all she there would their we him been has when who will "
    "more no if out so said what up its about into than them can only other new some could time "
    "these two may then do first any my now such like our over man me even most made after also "
    "did many before must through back years where much your way well down should because each"
)


@dataclass(frozen=True)
class BenchRequest:
    """One request: when to send it (seconds from the start), its path under the server, its body.

    `headers` are sent beside those of every request. `input_tokens` and `output_tokens` are the
    trace's; `answer` is the expected one, if known.
    """

    arrival_s: float
    path: str
    body: bytes
    input_tokens: int
    output_tokens: int
    answer: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """How rows without a body are made into requests.

    `max_tokens` cuts the answers to rows with text; without it the trace's output tokens do.
    """

    model: str
    endpoint: Endpoint = "chat"
    stream: bool = True
    max_tokens: int | None = None


@dataclass(frozen=True, eq=False)
class Load:
    """The requests of a replay in order of arrival, over a window in seconds.

    `has_text` tells that no request was made of random words.
    """

    name: str
    requests: tuple[BenchRequest, ...]
    window_s: float
    has_text: bool


def load_requests(source: WorkloadSource, folder: Path, shape: Shape) -> Load:
    """The requests that `source` asks for, the same for the same seed.

    A relative file is sought in `folder`. Raises DataError naming file and line.
    """
    trace = load_trace(source, folder, source.seed)
    rng = np.random.default_rng([_STREAM, source.seed])
    rows, first = _rows(source, folder)
    requests = []
    has_text = True
    for index in range(len(trace)):
        tokens = int(trace.output_tokens[index])
        given = None if rows is None else _given(rows, first + index, tokens, shape)
        if given is None:
            has_text = False
            given = _made(trace, index, shape, rng)
        path, body, answer = given
        requests.append(
            BenchRequest(
                arrival_s=float(trace.arrival_s[index]),
                path=path,
                body=json.dumps(body, ensure_ascii=False).encode(),
                input_tokens=int(trace.input_tokens[index]),
                output_tokens=tokens,
                answer=answer,
            )
        )
    return Load(trace.name, tuple(requests), trace.duration_s, has_text)


def with_queries(load: Load, table: QualityTable, row: Ints) -> Load:
    """The same requests, each with the score or the features of its row [N] of a quality table.

    They go in the headers that boute's ingress routes by where the router takes them as given, so
    that random words are routed as the simulator takes them to be. A table of texts changes
    nothing: its router reads the request.
    """
    if table.score is not None:
        name, columns = QUERY_HEADERS["given"], table.score[row, None]
    elif table.features is not None:
        name, columns = QUERY_HEADERS["features"], table.features[row]
    else:
        return load
    headers = [{name: ",".join(map(repr, values))} for values in columns.tolist()]
    paired = zip(load.requests, headers, strict=True)
    return replace(load, requests=tuple(replace(r, headers=more) for r, more in paired))


def words(count: int, rng: np.random.Generator) -> str:
    """Random common words, about a token each."""
    known = _WORDS.split()
    return " ".join([known[pick] for pick in rng.integers(0, len(known), count).tolist()])


@dataclass(frozen=True, eq=False)
class _Rows:
    """The columns of a file that say what to send, where it has them."""

    table: Table
    bodies: list[Any] | None
    texts: list[Any] | None
    answers: list[Any] | None


_Given = tuple[str, dict[str, Any], str | None]
"""Path, body and expected answer of a request."""


def _rows(source: WorkloadSource, folder: Path) -> tuple[_Rows | None, int]:
    """What the file of a workload says beyond a trace, and the first row of the window."""
    path = None
    if source.trace is not None:
        path = table_file(source.trace, resolve(source.trace, folder), preset_names())
    if path is None:
        return None, 0
    table = read_table(path, rows="requests")
    text = next((name for name in TEXT_COLUMNS if name in table.columns), None)
    bodies = table.columns.get("body")
    if bodies is None and text is None:
        return None, 0
    first = 0
    if source.start_s:
        from boute.workload.readers import read_trace

        arrival_s = read_trace(path, source.columns).arrival_s
        first = int(np.searchsorted(arrival_s, source.start_s))
    texts = None if text is None else table.columns[text]
    return _Rows(table, bodies, texts, table.columns.get("answer")), first


def _given(rows: _Rows, row: int, output_tokens: int, shape: Shape) -> _Given | None:
    """The request that a row holds, or None when it holds neither body nor text."""
    answer = None if rows.answers is None else rows.answers[row]
    expected = None if answer is None or answer == "" else str(answer)
    body = None if rows.bodies is None else rows.bodies[row]
    if body is not None:
        return (*_as_it_is(body, rows.table.place(row), shape), expected)
    text = None if rows.texts is None else rows.texts[row]
    if not isinstance(text, str) or not text.strip():
        return None
    return _PATHS[shape.endpoint], _body(text, shape.max_tokens or output_tokens, shape), expected


def _as_it_is(body: object, place: str, shape: Shape) -> tuple[str, dict[str, Any]]:
    if not isinstance(body, dict) or ("messages" in body) == ("prompt" in body):
        raise DataError(
            "body should be a request with either messages or prompt",
            where=place,
            mend="give bodies as objects in JSON Lines",
        )
    endpoint: Endpoint = "chat" if "messages" in body else "completions"
    return _PATHS[endpoint], {"model": shape.model, **body}


def _made(trace: Trace, index: int, shape: Shape, rng: np.random.Generator) -> _Given:
    text = words(int(trace.input_tokens[index]), rng)
    body = _body(text, int(trace.output_tokens[index]), shape)
    return _PATHS[shape.endpoint], body | {"ignore_eos": True}, None


def _body(text: str, max_tokens: int, shape: Shape) -> dict[str, Any]:
    """A request for a text, greedy so that its answer can be compared."""
    content: dict[str, Any] = (
        {"messages": [{"role": "user", "content": text}], "max_completion_tokens": max_tokens}
        if shape.endpoint == "chat"
        else {"prompt": text, "max_tokens": max_tokens}
    )
    body = {"model": shape.model, **content, "temperature": 0.0}
    if shape.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body
