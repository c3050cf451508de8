"""One request to a server, from sending to the last chunk, as a record.

Whatever goes wrong is told in the record: a refusal, an error in the stream, a stream that ends
before its `[DONE]`, a timeout, a connection that breaks.
"""

from __future__ import annotations

import asyncio
import itertools
import time

import aiohttp

from boute.bench.answer import Answer, AnswerError, error_words
from boute.bench.checks import Check
from boute.bench.events import EventReader
from boute.bench.record import Record
from boute.bench.requests import BenchRequest

__all__ = ["Exchange"]


class Exchange:
    """A request on its way, and what is known of it so far."""

    def __init__(self, request: BenchRequest) -> None:
        self._request = request
        self._answer = Answer()
        self._status: int | None = None
        self._headers: dict[str, str] = {}

    async def run(
        self,
        session: aiohttp.ClientSession,
        *,
        timeout_s: float,
        origin_s: float = 0.0,
        client_lag_s: float = 0.0,
        check: Check | None = None,
    ) -> Record:
        """Send it and read the answer; never raises for what a server does.

        `origin_s` is the start of the replay on the clock of `time.perf_counter`.
        """
        sent_s = time.perf_counter()
        error = ""
        try:
            async with asyncio.timeout(timeout_s):
                await self._exchange(session)
            if not self._answer.done:
                error = "broken stream: it ended before [DONE]"
        except TimeoutError:
            error = f"timeout: no full answer in {timeout_s:g} s"
        except AnswerError as problem:
            error = str(problem)
        except aiohttp.ClientConnectorError as problem:
            error = f"no connection: {_line(problem)}"
        except (aiohttp.ClientError, OSError) as problem:
            error = f"broken connection: {type(problem).__name__} {_line(problem)}"
        answer, request = self._answer, self._request
        # A failed one lasted until now; of an answer, what comes after the last choice is no part.
        end_s = time.perf_counter() if error or answer.last_s is None else answer.last_s
        at_s = answer.content_at_s
        quality = None
        if not error and check is not None and request.answer is not None:
            quality = float(check(answer.text, request.answer))
        output_tokens = answer.output_tokens
        return Record(
            arrival_s=request.arrival_s,
            sent_s=sent_s - origin_s,
            client_lag_s=client_lag_s,
            ttft_s=at_s[0] - sent_s if at_s else None,
            e2e_s=end_s - sent_s,
            input_tokens=request.input_tokens
            if answer.input_tokens is None
            else answer.input_tokens,
            output_tokens=len(at_s) if output_tokens is None else output_tokens,
            model=self._headers.get("model", "") or answer.model,
            pool=self._headers.get("pool", ""),
            status=self._status,
            error=error,
            quality=quality,
            itl_s=tuple(later - earlier for earlier, later in itertools.pairwise(at_s)),
        )

    async def _exchange(self, session: aiohttp.ClientSession) -> None:
        request = self._request
        headers = {"Content-Type": "application/json", **request.headers}
        async with session.post(request.path, data=request.body, headers=headers) as response:
            self._status = response.status
            for name in ("model", "pool"):
                self._headers[name] = response.headers.get(f"x-boute-{name}", "")
            if response.status != 200:
                words = error_words(await response.read())
                raise AnswerError(f"HTTP {response.status}: {words}")
            if response.content_type != "text/event-stream":
                data = await response.read()
                self._answer.whole(data, time.perf_counter())
                return
            reader = EventReader()
            async for piece in response.content.iter_any():
                now_s = time.perf_counter()
                for data in reader.feed(piece):
                    self._answer.event(data, now_s)


def _line(problem: Exception) -> str:
    return " ".join(str(problem)[:200].split())
