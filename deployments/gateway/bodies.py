"""A client's body: read up to a limit, parsed once, and sent on as it was but for the model's name.

Only what the ingress itself acts on is looked at; everything else is the engine's to judge.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from boute.deployments.engines.base import OpenAIPath
from boute.deployments.gateway.errors import RequestError

__all__ = ["ClientGoneError", "Query", "Receive", "parse_query", "read_body"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# Of lists and objects within each other. Tool schemas have about ten; an engine's parser has a
# limit of its own, and one that breaks there would look like an engine that is broken.
MAX_DEPTH: Final = 64
_CHAT: Final = "/v1/chat/completions"


class ClientGoneError(Exception):
    """The client hung up."""


@dataclass(frozen=True, slots=True)
class Query:
    """What the ingress knows of a request.

    `text` is what a router scores: the last user message, or the first prompt; None where there is
    no text. `stream` and `wants_usage` are what the client asked for.
    """

    path: OpenAIPath
    model: str
    stream: bool
    wants_usage: bool
    text: str | None
    rest: bytes

    @property
    def chat(self) -> bool:
        """Whether it is a chat, and not a completion."""
        return self.path == _CHAT

    def body_for(self, model: str) -> bytes:
        """The body with the model's name in the plan: JSON that starts with `model`."""
        return b'{"model":%b,%b' % (json.dumps(model).encode(), self.rest[1:])


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], most: int) -> bytes:
    """The whole body; raise RequestError (413) beyond `most` bytes, or ClientGoneError."""
    stated = headers.get(b"content-length", b"")
    if stated.isdigit() and len(stated) < 20 and int(stated) > most:
        raise _too_large(f"the body has more than {most} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(f"the body has more than {most} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def parse_query(path: OpenAIPath, body: bytes, max_prompt_chars: int) -> Query:
    """Read a body; raise RequestError: 400 for one that is wrong, 413 for one that is too long."""
    data = _parse(body)
    model = data.pop("model", None)
    if not isinstance(model, str):
        raise _wrong("should be the name of a model", "model")
    stream = data.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _wrong("should be true or false", "stream")
    texts, text = _chat(data) if path == _CHAT else _completion(data)
    if sum(map(len, texts)) > max_prompt_chars:
        raise _too_large(f"the prompt has more than {max_prompt_chars} characters")
    wants_usage = _ask_for_usage(data) if stream else True
    return Query(path, model, bool(stream), wants_usage, text, _dump(data))


def _parse(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits is a ValueError too, with advice for programmers.
        why = f": {error}" if isinstance(error, json.JSONDecodeError) else ""
        raise RequestError(400, f"the body is not valid JSON{why}") from None
    if not isinstance(data, dict):
        raise RequestError(400, "the body should be a JSON object")
    # Counting is cheap, and almost always enough.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth_exceeds(data, MAX_DEPTH):
        raise RequestError(400, f"the body is nested more than {MAX_DEPTH} deep")
    return data


def _depth_exceeds(data: object, most: int) -> bool:
    level: list[Any] = [data]
    for _ in range(most):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _dump(data: dict[str, Any]) -> bytes:
    try:
        return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        raise RequestError(400, "the body has a number that JSON cannot hold") from None


def _chat(data: dict[str, Any]) -> tuple[list[str], str | None]:
    """All texts of a chat, and that of the last user message."""
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _wrong("should be a list of at least one message", "messages")
    if not all(isinstance(message, dict) for message in messages):
        raise _wrong("each should be an object", "messages")
    texts = [text for message in messages for text in _texts(message)]
    last = next((message for message in reversed(messages) if message.get("role") == "user"), None)
    said = [] if last is None else list(_texts(last))
    return texts, "\n".join(said) if said else None


def _texts(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def _completion(data: dict[str, Any]) -> tuple[list[Any], str | None]:
    """All prompts of a completion, as texts or as lists of tokens, and the first text."""
    prompt = data.get("prompt")
    if isinstance(prompt, str):
        return [prompt], prompt
    if not isinstance(prompt, list) or not prompt:
        raise _wrong("should be text, or a list of texts or of token ids", "prompt")
    if all(isinstance(item, str) for item in prompt):
        return prompt, prompt[0]
    return [item if isinstance(item, list | str) else (item,) for item in prompt], None


def _ask_for_usage(data: dict[str, Any]) -> bool:
    """Have the engine end the stream with its usage; tell whether the client had asked for it."""
    options = data.get("stream_options")
    if options is None:
        options = {}
    if not isinstance(options, dict):
        return True  # The engine will refuse it, and say why.
    if options.get("include_usage"):
        return True
    # Without include_usage this has no effect, so it should have none now.
    others = {name: value for name, value in options.items() if name != "continuous_usage_stats"}
    data["stream_options"] = others | {"include_usage": True}
    return False


def _wrong(problem: str, param: str) -> RequestError:
    return RequestError(400, f"{param}: {problem}", param=param)


def _too_large(message: str) -> RequestError:
    return RequestError(413, message, code="request_too_large")
