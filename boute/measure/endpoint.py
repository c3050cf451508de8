"""An OpenAI endpoint as the measurement uses it: completions of a given length, streamed.

Prompts are random tokens where the endpoint takes token ids, as vLLM does, and random words where
it does not, so that no prompt is in a prefix cache.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import numpy as np

from boute.errors import InputError, ServingError, nearest
from boute.measure.answer import Answer, read_answer

__all__ = ["Endpoint", "connect"]

TIMEOUT_S: Final = 300.0
# Shorter than servers keep a connection (uvicorn 5 s), or a request meets one that is closing.
KEEP_ALIVE_S: Final = 1.0
# A server's own page, and the one on which boute's ingress shows those of all its engines.
_METRICS: Final = ("/metrics", "/metrics/engines")
_SHOWN_CHARACTERS: Final = 200


class _RefusedError(Exception):
    """The endpoint understood the request and does not take it."""


@dataclass(frozen=True)
class _Style:
    """A way to ask: prompts as token ids or as words, and whether `ignore_eos` is sent."""

    token_ids: bool
    ignore_eos: bool


# The most exact one first.
_STYLES: Final = (_Style(True, True), _Style(False, True), _Style(False, False))


class Endpoint:
    """One model behind a base URL; made by `connect`.

    `max_model_len` is what the endpoint says of the model, `kv_tokens` the room of its KV cache and
    `engine` its version; each is None where it says nothing.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, model: str, vocab_size: int, seed: int
    ) -> None:
        self.base_url = base_url
        self.max_model_len: int | None = None
        self.kv_tokens: int | None = None
        self.engine: str | None = None
        self._session = session
        self._model = model
        self._vocab_size = vocab_size
        self._random = np.random.default_rng(seed)
        self._style = _STYLES[0]
        # Of a prompt of words, until the endpoint has counted one.
        self._words_per_token = 0.5

    async def complete(self, input_tokens: int, output_tokens: int) -> Answer:
        """Stream one completion; raise ServingError.

        With prompts of words the input is of about that length: the answer tells its real one.
        """
        try:
            return await self._ask(self._style, input_tokens, output_tokens)
        except _RefusedError as refusal:
            raise ServingError(
                f"refuses a request of {input_tokens} and {output_tokens} tokens: {refusal}",
                where=self.base_url,
                mend="lower --longest or --concurrency",
            ) from None

    async def together(self, count: int, input_tokens: int, output_tokens: int) -> list[Answer]:
        """`count` completions sent at once; raise ServingError."""
        asked = (self.complete(input_tokens, output_tokens) for _ in range(count))
        return list(await asyncio.gather(*asked))

    async def get_ready(self) -> None:
        """Find out what the endpoint is and what it takes; raise InputError, ServingError."""
        await self._find_model()
        refused = ""
        for style in _STYLES:
            try:
                answer = await self._ask(style, 8, 4)
            except _RefusedError as refusal:
                refused = str(refusal)
                continue
            self._style = style
            if not style.token_ids:
                self._words_per_token *= 8 / max(answer.input_tokens, 1)
            break
        else:
            raise ServingError(f"refuses /completions: {refused}", where=self.base_url)
        pages = [await self._get_text(f"{self.base_url}{path}") for path in _METRICS]
        self.kv_tokens = next(filter(None, map(_kv_tokens, pages)), None)
        self.engine = await self._version() or next(filter(None, map(_engine, pages)), None)

    async def _find_model(self) -> None:
        data = await self._get_json(f"{self.base_url}/v1/models")
        found = data.get("data") if isinstance(data, dict) else None
        if not isinstance(found, list):
            raise ServingError(
                "/v1/models lists no models", where=self.base_url, mend="is it an OpenAI endpoint?"
            )
        models = {str(item.get("id")): item for item in found if isinstance(item, dict)}
        if self._model not in models:
            raise InputError(
                f"{self.base_url} has no model {self._model!r}",
                where="--model",
                mend=nearest(self._model, models, "models there"),
            )
        length = models[self._model].get("max_model_len")
        self.max_model_len = length if isinstance(length, int) else None

    async def _version(self) -> str | None:
        try:
            version = json.loads(await self._get_text(f"{self.base_url}/version")).get("version")
        except (ValueError, AttributeError):
            return None
        return f"vLLM {version}" if isinstance(version, str) else None

    async def _get_json(self, url: str) -> object:
        with _no_answer(self.base_url):
            async with self._session.get(url) as response:
                text = await response.text()
                if response.status in (401, 403):
                    raise InputError(
                        f"refuses the key (HTTP {response.status})",
                        where=self.base_url,
                        mend="name the variable that holds it with --api-key-env",
                    )
                if response.status != 200:
                    raise ServingError(
                        f"/v1/models answers HTTP {response.status}",
                        where=self.base_url,
                        mend="is it an OpenAI endpoint?",
                    )
        try:
            return json.loads(text)
        except ValueError:
            return None

    async def _get_text(self, url: str) -> str:
        """A page that need not be there."""
        try:
            async with self._session.get(url) as response:
                return await response.text() if response.status == 200 else ""
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError):
            return ""

    async def _ask(self, style: _Style, input_tokens: int, output_tokens: int) -> Answer:
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": self._prompt(style, input_tokens),
            "max_tokens": output_tokens,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if style.ignore_eos:
            body["ignore_eos"] = True
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        lines: list[tuple[float, bytes]] = []
        with _no_answer(self.base_url):
            sent_s = time.perf_counter()
            async with self._session.post(
                f"{self.base_url}/v1/completions", data=data, headers=headers
            ) as response:
                if response.status in (400, 404, 413, 422):
                    raise _RefusedError(_one_line(await response.text()))
                if response.status != 200:
                    problem = f"HTTP {response.status}: {_one_line(await response.text())}"
                    raise ServingError(f"answers {problem}", where=self.base_url)
                async for line in response.content:
                    lines.append((time.perf_counter(), line))
        return read_answer(sent_s, lines, where=self.base_url)

    def _prompt(self, style: _Style, tokens: int) -> list[int] | str:
        if style.token_ids:
            return [int(token) for token in self._random.integers(self._vocab_size, size=tokens)]
        words = self._random.integers(10, 100, size=max(1, round(tokens * self._words_per_token)))
        return " ".join(str(word) for word in words)


@asynccontextmanager
async def connect(
    url: str, model: str, *, vocab_size: int, api_key: str | None, seed: int
) -> AsyncIterator[Endpoint]:
    """The endpoint at `url`, with or without /v1 at its end, ready to be measured.

    Token ids of prompts are below `vocab_size`. Raises InputError for a model or key that is wrong
    and ServingError for an endpoint that is not there or takes no completions.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url!r} is not a URL", where="URL", mend="begin with http://")
    base_url = url.rstrip("/").removesuffix("/v1")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    async with aiohttp.ClientSession(
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
    ) as session:
        endpoint = Endpoint(session, base_url, model, vocab_size, seed)
        await endpoint.get_ready()
        yield endpoint


def _kv_tokens(metrics: str) -> int | None:
    """Room for KV cache, from vLLM's metrics; None where its replicas do not agree on one."""
    rooms = set()
    for info in _labels(metrics, "vllm:cache_config_info"):
        numbers = {name: int(value) for name, value in info.items() if value.isdecimal()}
        blocks = numbers.get("num_gpu_blocks", 0) * numbers.get("block_size", 0)
        rooms.add(numbers.get("kv_cache_size_tokens", blocks))
    return (rooms.pop() or None) if len(rooms) == 1 else None


def _engine(metrics: str) -> str | None:
    """Name and version of the engines behind boute's ingress, if they are all the same."""
    found = {
        f"{info.get('engine', '')} {info.get('version', '')}"
        for info in _labels(metrics, "boute_engine_info")
    }
    return found.pop() if len(found) == 1 else None


def _labels(metrics: str, name: str) -> list[dict[str, str]]:
    """The labels of each sample of one name in Prometheus' text format."""
    lines = (line for line in metrics.splitlines() if line.startswith(f"{name}{{"))
    return [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in lines]


@contextmanager
def _no_answer(where: str) -> Iterator[None]:
    """Turn what aiohttp raises into one line."""
    try:
        yield
    except TimeoutError:
        raise ServingError(f"does not answer within {TIMEOUT_S:.0f} s", where=where) from None
    except (aiohttp.ClientError, UnicodeDecodeError) as error:
        reason = _one_line(str(error) or type(error).__name__)
        raise ServingError(
            f"cannot be reached: {reason}", where=where, mend="is it running?"
        ) from None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_SHOWN_CHARACTERS]
