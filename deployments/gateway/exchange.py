"""One request of a client, from its first byte to the record of how it ended.

An ASGI application of its own rather than an endpoint of a framework, because every microsecond
here is the cost of having a router at all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final, Literal

from boute.deployments.engines.base import Answer, EngineRequest, OpenAIPath
from boute.deployments.gateway.bodies import ClientGoneError, Query, Receive, parse_query, read_body
from boute.deployments.gateway.cascade import Checked, climb
from boute.deployments.gateway.chooser import Attempt, Choice, Chooser
from boute.deployments.gateway.errors import RequestError, error_event, too_many
from boute.deployments.gateway.forward import Opened, ask_stream, ask_whole, first_answer
from boute.deployments.gateway.gateway import Gateway, State
from boute.deployments.gateway.headers import incoming
from boute.deployments.gateway.relay import pass_on
from boute.deployments.gateway.reply import Reply, Send
from boute.deployments.gateway.usage import StreamUsage, Tokens, usage_in
from boute.deployments.limits import Refused
from boute.deployments.options import KeyLimits
from boute.deployments.record import Outcome, RequestRecord

__all__ = ["Exchange"]

_log: Final = logging.getLogger(__name__)
# What the record of a request has as status when its client left before it got one (nginx's).
_CLIENT_GONE: Final = 499


class Exchange:
    """Answers one request; `run` is called once."""

    def __init__(
        self,
        gateway: Gateway,
        path: OpenAIPath,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        self._began_s = time.perf_counter()
        self._arrival_unix_s = time.time()
        self._gateway = gateway
        self._path: OpenAIPath = path
        self._receive = receive
        self._incoming = incoming(scope)
        self._reply = Reply(send, [(b"x-request-id", self._incoming.request_id.encode())])
        self._timer: asyncio.Timeout | None = None
        self._cut_by: Literal["client", "shutdown"] | None = None
        self._plan = ""
        self._query: Query | None = None
        self._score: float | None = None
        self._attempt: Attempt | None = None
        self._attempts = 0
        self._ttft_s: float | None = None
        self._tokens: Tokens = (None, None)
        self._confidence: float | None = None
        # What was checked and not given. The last of it is better than no answer at all.
        self._unsure: list[Checked] = []
        self._outcome: Outcome = "ok"

    async def run(self) -> None:
        """Answer, whatever comes, and record how it went."""
        try:
            state = self._gateway.state()
            self._plan = state.live.plan
            key, limits = state.client(self._incoming.headers.get(b"authorization"))
            self._gateway.enter(self, key, limits)
        except (RequestError, Refused) as error:
            await self._refuse(error)
            self._record()
            return
        try:
            await self._within_deadline(state, limits)
        except asyncio.CancelledError:
            self._outcome = "cancelled"
            raise
        except Exception:
            # A bug, here or in a backend: the client is told no more than that.
            _log.exception("request %s", self._incoming.request_id)
            await self._fail(RequestError(500, "internal error", code="internal_error"))
        finally:
            self._gateway.leave(self, key)
            self._record()

    def stop(self) -> None:
        """End the request, because the server shuts down."""
        self._cut("shutdown")

    def _cut(self, by: Literal["client", "shutdown"]) -> None:
        """End the request by having its time run out now, which nothing can miss."""
        if self._timer is not None and not self._timer.expired():
            self._cut_by = by
            self._timer.reschedule(asyncio.get_running_loop().time())

    async def _within_deadline(self, state: State, limits: KeyLimits | None) -> None:
        watcher: asyncio.Task[None] | None = None
        try:
            seconds = self._incoming.deadline_s(self._gateway.limits.deadline_s)
            async with asyncio.timeout(seconds) as self._timer:
                query = await self._read()
                choice = self._choose(state, query, limits)
                # From here on the client has nothing to say but that it is gone.
                watcher = asyncio.create_task(self._watch())
                await self._answer(query, state.chooser, choice)
        except RequestError as error:
            await self._fail(error)
        except (TimeoutError, ClientGoneError) as error:
            await self._end_early(gone=isinstance(error, ClientGoneError))
        finally:
            self._timer = None
            if watcher is not None:
                watcher.cancel()

    async def _read(self) -> Query:
        limits = self._gateway.limits
        body = await read_body(self._receive, self._incoming.headers, limits.max_body_bytes)
        self._query = parse_query(self._path, body, limits.max_prompt_chars)
        return self._query

    def _choose(self, state: State, query: Query, limits: KeyLimits | None) -> Choice:
        """Decide who answers."""
        began_s = time.perf_counter()
        choice = state.chooser.choose(query, self._incoming.headers, limits)
        self._score = choice.score
        self._gateway.metrics.routed(self._plan, choice.score, time.perf_counter() - began_s)
        self._reply.headers.append((b"x-boute-plan", self._plan.encode()))
        if choice.score is not None:
            self._reply.headers.append((b"x-boute-score", b"%.4f" % choice.score))
        return choice

    async def _watch(self) -> None:
        """Wait for the client to hang up, and end its request then."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._cut("client")

    async def _answer(self, query: Query, chooser: Chooser, choice: Choice) -> None:
        if choice.above:
            found = await climb(choice, query, chooser, self._ask, self._escalate)
            if isinstance(found, Checked):
                await self._give(found, query)
                return
            choice = found
        opened = await first_answer(
            chooser.attempts(choice), lambda attempt: self._ask(attempt, query)
        )
        if opened.rest is not None:
            await self._pass_on(opened, query)
            return
        answer = opened.answer
        if answer.status >= 400 and self._unsure:
            await self._give(self._unsure.pop(), query)
            return
        self._tokens = usage_in(answer.body) or self._tokens
        if answer.status >= 400:
            self._outcome = "engine_error" if opened.failed else "client_error"
        self._say_who()
        busy = answer.status in (429, 503)
        await self._reply.whole(answer, [(b"retry-after", b"1")] if busy else [])

    async def _ask(self, attempt: Attempt, query: Query) -> Opened:
        self._note(attempt)
        backend = self._gateway.backends[attempt.pool]
        request_id = f"{self._incoming.engine_id}-{self._attempts}"
        request = EngineRequest(self._path, query.body_for(attempt.model), request_id)
        if query.stream:
            return await ask_stream(backend, request, self._gateway.limits.first_byte_s)
        return await ask_whole(backend, request)

    def _escalate(self, checked: Checked | None) -> None:
        """A larger model is asked next."""
        attempt, self._attempt = self._attempt, None
        assert attempt is not None
        reason = "failed" if checked is None else checked.shortcoming
        self._gateway.metrics.escalated(attempt.model, attempt.pool, self._plan, reason)
        if checked is not None:
            self._unsure.append(checked)

    async def _give(self, checked: Checked, query: Query) -> None:
        """Give an answer that was checked, as a stream where the client wants one."""
        before, self._attempt = self._attempt, checked.attempt
        if before is not None and before.pool != checked.attempt.pool:
            # The last model failed, and what a smaller one said is all there is.
            self._gateway.metrics.moved(before.pool, checked.attempt.pool, self._plan)
        self._tokens, self._confidence = checked.tokens, checked.said.confidence
        self._say_who()
        if query.stream:
            self._first_token(checked.attempt)
        await self._reply.whole(checked.answer_to(query))

    def _note(self, attempt: Attempt) -> None:
        """Count an attempt, and the move from one pool to another."""
        before, self._attempt = self._attempt, attempt
        self._attempts += 1
        if before is None:
            self._gateway.metrics.started(attempt.model, attempt.pool, self._plan)
        elif before.pool != attempt.pool:
            self._gateway.metrics.fallback(before.pool, attempt.pool, self._plan)

    async def _pass_on(self, opened: Opened, query: Query) -> None:
        """Send a stream as it comes."""
        attempt = self._attempt
        assert attempt is not None
        self._first_token(attempt)
        self._say_who()
        usage = StreamUsage(wanted=query.wants_usage)
        try:
            if not await pass_on(opened, self._reply, usage):
                self._outcome = "engine_error"
        finally:
            self._tokens = usage.tokens

    def _first_token(self, attempt: Attempt) -> None:
        """The client gets the first of its stream now."""
        self._ttft_s = time.perf_counter() - self._began_s
        self._gateway.metrics.first_token(attempt.model, attempt.pool, self._plan, self._ttft_s)

    def _say_who(self) -> None:
        """Tell the client who answers, or who was asked last, and how sure it was if known."""
        if self._attempt is not None:
            self._reply.headers.append((b"x-boute-model", self._attempt.model.encode()))
            self._reply.headers.append((b"x-boute-pool", self._attempt.pool.encode()))
        if self._confidence is not None:
            self._reply.headers.append((b"x-boute-confidence", b"%.4f" % self._confidence))

    async def _refuse(self, error: RequestError | Refused) -> None:
        """Turn a request away before it is read."""
        if isinstance(error, Refused):
            self._gateway.metrics.refused(error.reason)
            error = too_many(error.message, error.retry_after_s)
        else:
            self._gateway.metrics.refused(error.code or "refused")
        self._outcome = "refused"
        await self._reply.whole(Answer(error.status, error.body), error.headers)

    async def _fail(self, error: RequestError) -> None:
        """Tell the client what went wrong: as an answer, or as the last event of its stream.

        Where a cascade has an answer that it was not sure of, that is given instead.
        """
        if self._query is not None and self._unsure and not self._reply.begun:
            await self._give(self._unsure.pop(), self._query)
            return
        if error.status < 500:
            self._outcome = "client_error"
        else:
            self._outcome = "timeout" if error.status == 504 else "engine_error"
        if self._reply.begun:
            await self._reply.end(error_event(error))
            return
        if self._attempt is None:
            self._gateway.metrics.refused(error.code or "bad_request")
        self._say_who()
        await self._reply.whole(Answer(error.status, error.body), error.headers)

    async def _end_early(self, *, gone: bool) -> None:
        """The deadline has passed, the client has left, or the server shuts down."""
        if gone or self._cut_by == "client":
            self._outcome = "cancelled"
        elif self._cut_by == "shutdown":
            message = "the server is shutting down"
            await self._fail(RequestError(503, message, code="draining", retry_after_s=1.0))
        elif self._query is None:
            await self._fail(RequestError(408, "the body did not come in time", code="timeout"))
        else:
            await self._fail(RequestError(504, "the deadline has passed", code="timeout"))

    def _record(self) -> None:
        query, attempt = self._query, self._attempt
        self._gateway.record(
            RequestRecord(
                request_id=self._incoming.request_id,
                arrival_unix_s=self._arrival_unix_s,
                model=None if attempt is None else attempt.model,
                pool=None if attempt is None else attempt.pool,
                plan=self._plan,
                score=self._score,
                asked_model=None if query is None else query.model,
                status=self._reply.status or _CLIENT_GONE,
                ttft_s=self._ttft_s,
                e2e_s=time.perf_counter() - self._began_s,
                input_tokens=self._tokens[0],
                output_tokens=self._tokens[1],
                stream=query is not None and query.stream,
                attempts=self._attempts,
                outcome=self._outcome,
                prompt=query.text if query is not None and self._gateway.log_prompts else None,
                traceparent=self._incoming.traceparent,
                confidence=self._confidence,
                discarded=tuple(checked.discarded() for checked in self._unsure),
            )
        )
