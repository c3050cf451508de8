"""What the simulated engine understands of the OpenAI API, and the shapes in which it answers.

Requests are checked as far as they matter here: the prompt's length, the number and length of the
answers, and whether they stream. A prompt given as text counts a token per four characters, one
given as token ids counts exactly. Sampling parameters, tools and `stop` are taken and ignored.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from boute.deployments.engines.base import EngineRequest

__all__ = ["DEFAULT_MAX_TOKENS", "FINGERPRINT", "BadRequestError", "Voice", "Wanted", "parse"]

DEFAULT_MAX_TOKENS: Final = 128
CHARS_PER_TOKEN: Final = 4
MAX_CHOICES: Final = 128
FINGERPRINT: Final = "boute-simulated"
_TEXT: Final = (
    "all any been both day each end few first from here into just last line long made many more "
    "most next not now once one open other over own part place same side small some such than "
    "that then there these they this time under until used very way well were when where which "
    "while with word"
)
_WORDS: Final = tuple(_TEXT.split())


class BadRequestError(Exception):
    """A request that is wrong; `body` says why in OpenAI's shape."""

    def __init__(self, message: str, param: str | None = None) -> None:
        message = message if param is None else f"{param}: {message}"
        super().__init__(message)
        error = {
            "message": message,
            "type": "invalid_request_error",
            "param": param,
            "code": None,
        }
        self.body = _json({"error": error})


@dataclass(frozen=True)
class Wanted:
    """What a request asks for: `n` answers of `max_tokens` to each prompt, in tokens."""

    chat: bool
    prompts: tuple[int, ...]
    n: int
    max_tokens: int
    stream: bool
    include_usage: bool
    logprobs: bool = False

    @property
    def choices(self) -> list[int]:
        """Prompt tokens of each answer, in the order of their indices."""
        return [prompt for prompt in self.prompts for _ in range(self.n)]


def parse(request: EngineRequest, max_model_len: int) -> Wanted:
    """What a request asks for; raise BadRequestError where it is wrong."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestError("the body should be a JSON object")
    chat = request.path == "/v1/chat/completions"
    prompts = (_chat_tokens(body),) if chat else _prompt_tokens(body.get("prompt"))
    asked = body.get("max_completion_tokens") if chat else None
    asked = body.get("max_tokens") if asked is None else asked
    limit = None if asked is None else _count(asked, "max_tokens")
    stream, options = body.get("stream") or False, body.get("stream_options")
    if not isinstance(stream, bool):
        raise BadRequestError("should be true or false", "stream")
    if options is not None and not (stream and isinstance(options, dict)):
        raise BadRequestError(
            "should be an object, and only where stream is true", "stream_options"
        )
    n = 1 if body.get("n") is None else _count(body["n"], "n")
    if n > MAX_CHOICES:
        raise BadRequestError(f"should be at most {MAX_CHOICES}", "n")
    return Wanted(
        chat=chat,
        prompts=prompts,
        n=n,
        max_tokens=_max_tokens(limit, max(prompts), max_model_len),
        stream=stream,
        include_usage=bool(options and options.get("include_usage")),
        logprobs=_logprobs(body.get("logprobs"), chat=chat),
    )


def _max_tokens(asked: int | None, prompt: int, max_model_len: int) -> int:
    room = max_model_len - prompt
    if room < (asked or 1):
        raise BadRequestError(
            f"the model's context is {max_model_len} tokens, and the request wants {prompt} of "
            f"prompt and {asked or 1} of answer",
            "max_tokens" if room > 0 else None,
        )
    return asked or min(DEFAULT_MAX_TOKENS, room)


def _logprobs(asked: object, *, chat: bool) -> bool:
    """Whether log-probabilities are wanted: a chat says so, a completion says how many."""
    if asked is None or (chat and isinstance(asked, bool)):
        return bool(asked)
    if chat or not isinstance(asked, int) or isinstance(asked, bool) or asked < 0:
        raise BadRequestError("should be true or false, or a number for a completion", "logprobs")
    return True


def _count(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadRequestError("should be a whole number of at least 1", name)
    return value


def _chat_tokens(body: Mapping[str, Any]) -> int:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("should be a list of at least one message", "messages")
    characters = 0
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRequestError("each should be an object with a role", "messages")
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
        for part in parts:
            if not isinstance(part, dict) or not isinstance(part.get("text", ""), str):
                raise BadRequestError("content should be text or a list of parts", "messages")
            characters += len(part.get("text", ""))
    return _estimate(characters)


def _prompt_tokens(prompt: object) -> tuple[int, ...]:
    """Lengths of the prompts of a completion: a text, token ids, or a list of either."""
    if isinstance(prompt, str):
        return (_estimate(len(prompt)),)
    if isinstance(prompt, list) and prompt:
        if all(_is_token(item) for item in prompt):
            return (len(prompt),)
        if all(isinstance(item, str) for item in prompt):
            return tuple(_estimate(len(item)) for item in prompt)
        if all(isinstance(item, list) and item and all(map(_is_token, item)) for item in prompt):
            return tuple(len(item) for item in prompt)
    raise BadRequestError("should be text, token ids, or a list of either", "prompt")


def _is_token(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def _estimate(characters: int) -> int:
    return max(1, math.ceil(characters / CHARS_PER_TOKEN))


class Voice:
    """Words for one request, the same for the same request id, in the API's shapes."""

    def __init__(self, request_id: str, wanted: Wanted, model: str) -> None:
        self._wanted = wanted
        self._random = [
            random.Random(f"{request_id}:{index}") for index in range(len(wanted.choices))
        ]
        self._claims = [
            _claim(f"{request_id}:{index}:claim") for index in range(len(wanted.choices))
        ]
        kind = "chat.completion" if wanted.chat else "text_completion"
        self._head = {
            "id": f"{'chatcmpl' if wanted.chat else 'cmpl'}-{request_id}",
            "object": kind + (".chunk" if wanted.chat and wanted.stream else ""),
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": FINGERPRINT,
        }
        # What all events of the request share is encoded once.
        self._begin = b'data: %b,"choices":[{"index":' % _json(self._head)[:-1]
        self._said = (b'"delta":{"content":"', b'"}') if wanted.chat else (b'"text":"', b'"')

    def events(self, index: int, start: int, stop: int) -> bytes:
        """Server-sent events of tokens `start` to `stop` of an answer, each of one word."""
        before, after = self._said
        head = b"%b%d," % (self._begin, index)
        go_on = b'%b,"logprobs":null,"finish_reason":null}]}\n\n' % after
        words = self._words(index, start, stop)
        events = [head + before + word + go_on for word in words]
        if self._wanted.logprobs:
            told = [b'"logprobs":' + _json(self._logprobs(index, [word])) for word in words]
            events = [
                event.replace(b'"logprobs":null', each)
                for event, each in zip(events, told, strict=True)
            ]
        if start == 0 and self._wanted.chat:
            events.insert(0, head + b'"delta":{"role":"assistant","content":""' + go_on[1:])
        if stop == self._wanted.max_tokens:
            events[-1] = events[-1].replace(b'"finish_reason":null', b'"finish_reason":"length"')
        return b"".join(events)

    def end(self) -> bytes:
        """What comes after all tokens: the usage, if it was asked for, and [DONE]."""
        done = b"data: [DONE]\n\n"
        if not self._wanted.include_usage:
            return done
        usage = self._head | {"choices": [], "usage": self._usage()}
        return b"data: %b\n\n%b" % (_json(usage), done)

    def whole(self) -> bytes:
        """The whole answer at once."""
        choices = []
        for index in range(len(self._random)):
            words = self._words(index, 0, self._wanted.max_tokens)
            text = b"".join(words).decode()
            said: dict[str, Any] = {"text": text}
            if self._wanted.chat:
                said = {"message": {"role": "assistant", "content": text}}
            logprobs = self._logprobs(index, words) if self._wanted.logprobs else None
            end = {"logprobs": logprobs, "finish_reason": "length"}
            choices.append({"index": index, **said, **end})
        return _json(self._head | {"choices": choices, "usage": self._usage()})

    def _words(self, index: int, start: int, stop: int) -> list[bytes]:
        words = self._random[index].choices(_WORDS, k=stop - start)
        return [(word if start + at == 0 else f" {word}").encode() for at, word in enumerate(words)]

    def _logprobs(self, index: int, words: list[bytes]) -> dict[str, Any]:
        """Every word as likely as its answer claims to be, with no others beside it."""
        tokens, claim = [word.decode() for word in words], self._claims[index]
        if not self._wanted.chat:
            return {
                "tokens": tokens,
                "token_logprobs": [claim] * len(tokens),
                "top_logprobs": [{token: claim} for token in tokens],
                "text_offset": list(itertools.accumulate(map(len, tokens[:-1]), initial=0)),
            }
        content = [
            {"token": token, "logprob": claim, "bytes": list(token.encode()), "top_logprobs": []}
            for token in tokens
        ]
        return {"content": content}

    def _usage(self) -> dict[str, int]:
        prompt = sum(self._wanted.prompts)
        completion = self._wanted.max_tokens * len(self._random)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }


def _claim(seed: str) -> float:
    """The logarithm of a number that is drawn evenly from (0, 1]."""
    return math.log(1.0 - random.Random(seed).random())


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
