"""How sure a model was of its own answer, from the log-probabilities that come with it.

The confidence of an answer is the geometric mean of the probabilities of its tokens, the
exponential of their mean log-probability: in [0, 1], whatever the length. Log-probabilities are
asked for on the client's behalf, and taken out of the answer where the client had not asked.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any, Final

from boute.deployments.gateway.bodies import Query

__all__ = ["Asking", "Said", "asking", "read_answer"]

# What makes a message or a choice more than an empty one.
_SUBSTANCE: Final = ("content", "text", "tool_calls", "function_call", "refusal")


@dataclass(frozen=True, slots=True)
class Asking:
    """A query as it is asked for a whole answer that can be checked.

    `shown` says that the client asked for log-probabilities itself.
    """

    query: Query
    shown: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A whole answer as the client may see it, and its confidence: None where it cannot be told."""

    answer: dict[str, Any]
    confidence: float | None


def asking(query: Query) -> Asking | None:
    """How to ask for an answer that can be checked; None where there is no telling.

    A completion that echoes its prompt mixes the prompt's log-probabilities with its own.
    """
    data: dict[str, Any] = json.loads(query.rest)
    if data.get("echo"):
        return None
    data.pop("stream", None)
    data.pop("stream_options", None)
    asked = data.get("logprobs")
    # A completion says how many of each token's rivals it wants, and with 0 still gets its own.
    shown = isinstance(asked, bool) and asked if query.chat else type(asked) is int
    if not shown:
        data["logprobs"] = True if query.chat else 1
        # With null here, as clients send it, vLLM tells no log-probabilities at all.
        data.pop("top_logprobs", None)
    rest = json.dumps(data, separators=(",", ":")).encode()
    return Asking(replace(query, stream=False, rest=rest), shown)


def read_answer(body: bytes, asked: Asking) -> Said | None:
    """What a model said; None where it is not an answer in OpenAI's shape."""
    try:
        answer = json.loads(body)
        choices = [dict(choice) for choice in answer["choices"]]
        messages = [dict(choice["message"]) if asked.query.chat else choice for choice in choices]
        said = [any(message.get(part) for part in _SUBSTANCE) for message in messages]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    if not choices:
        return None
    found = [
        _confidence(choice.get("logprobs"), chat=asked.query.chat) if something else None
        for choice, something in zip(choices, said, strict=True)
    ]
    if not asked.shown:
        answer["choices"] = [choice | {"logprobs": None} for choice in choices]
    # Several answers to one request are given together, so the least sure one counts.
    known = [confidence for confidence in found if confidence is not None]
    return Said(answer, min(known) if len(known) == len(found) else None)


def _confidence(logprobs: Any, *, chat: bool) -> float | None:
    """The confidence of one choice by its `logprobs`; None where they do not tell."""
    try:
        values = (
            [token["logprob"] for token in logprobs["content"]]
            if chat
            else logprobs["token_logprobs"]
        )
        mean = math.fsum(values) / len(values)
    except (ArithmeticError, ValueError, TypeError, LookupError):
        return None
    # Rounding can put a token that is certain a hair above 0.
    return None if math.isnan(mean) else math.exp(min(mean, 0.0))
