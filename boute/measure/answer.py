"""One streamed answer of an OpenAI endpoint: when its tokens came, and how many they were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boute.errors import ServingError

__all__ = ["Answer", "read_answer"]


@dataclass(frozen=True, eq=False)
class Answer:
    """Times on one clock, in seconds; `chunk_s` are those of the chunks, token by token as a rule.

    Token counts are the endpoint's own, from `usage`.
    """

    sent_s: float
    chunk_s: tuple[float, ...]
    input_tokens: int
    output_tokens: int

    @property
    def tokens_per_chunk(self) -> float:
        """Mean over the chunks after the first, which engines send as soon as it has a token."""
        return (self.output_tokens - 1) / max(len(self.chunk_s) - 1, 1)

    @property
    def ttft_s(self) -> float:
        """From sending to the first token."""
        return self.chunk_s[0] - self.sent_s

    @property
    def e2e_s(self) -> float:
        """From sending to the last token."""
        return self.chunk_s[-1] - self.sent_s


def read_answer(sent_s: float, lines: Sequence[tuple[float, bytes]], *, where: str) -> Answer:
    """Make sense of the lines of a stream and the times that they came at; raise ServingError."""
    times: list[float] = []
    usage: dict[str, Any] = {}
    for at_s, line in lines:
        if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
            continue
        event = _event(line[5:], where)
        if event.get("error"):
            raise ServingError(f"answers with an error: {event['error']}", where=where)
        if event.get("choices"):
            times.append(at_s)
        usage = event.get("usage") or usage
    if not times:
        raise ServingError("answers without a token", where=where)
    try:
        return Answer(
            sent_s, tuple(times), int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        )
    except (KeyError, TypeError, ValueError):
        raise ServingError(
            "tells no usage, so that nobody knows how many tokens an answer has",
            where=where,
            mend="use an endpoint that takes stream_options.include_usage",
        ) from None


def _event(data: bytes, where: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise ServingError("answers with something other than JSON", where=where)
    return event
