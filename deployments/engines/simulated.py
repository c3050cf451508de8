"""An engine without a model: it answers at the pace that the performance model predicts.

For dry runs, CI and load tests. Its batching is that of the simulator, in real time: every step
ends when the formula says, on a clock that does not drift with the machine's timers, so that what
a client measures is what the planner predicted plus the cost of serving. Its words mean nothing
and its answers say so: `system_fingerprint` is `boute-simulated`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from boute.deployments.engines.base import Answer, EngineError, EngineRequest
from boute.deployments.engines.batching import Batching, Sequence
from boute.deployments.engines.settings import EngineSettings, Pace
from boute.deployments.engines.simulated_api import BadRequestError, Voice, Wanted, parse

__all__ = ["SimulatedEngine"]

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    """A request under way, and the future that its reader waits on."""

    whole: bool
    sequences: list[Sequence[_Job]] = field(default_factory=list)
    waiter: asyncio.Future[None] | None = None

    @property
    def finished(self) -> bool:
        return all(sequence.finished for sequence in self.sequences)


class SimulatedEngine:
    """Answers requests at the pace of `settings.pace`; raises ValueError where there is none."""

    def __init__(self, settings: EngineSettings) -> None:
        if settings.pace is None:
            raise ValueError("a simulated engine needs a pace")
        self._model = settings.model
        self._max_model_len = settings.max_model_len
        self._pace: Pace = settings.pace
        self._batching: Batching[_Job] = Batching(settings.pace)
        self._jobs: set[_Job] = set()
        self._work = asyncio.Event()
        self._driver: asyncio.Task[None] | None = None
        self._failure: str | None = "the simulated engine is not started"
        self._prompt_tokens = 0
        self._generated_tokens = 0

    async def start(self) -> None:
        """Begin to step. A first request has the step's formula compiled, if it is not yet."""
        self._failure = None
        self._driver = asyncio.create_task(self._drive())
        body = b'{"prompt": [1], "max_tokens": 1}'
        await self.answer(EngineRequest("/v1/completions", body, "warm-up"))

    async def check(self) -> None:
        """Raise EngineError unless the engine steps."""
        self._alive()

    def unfinished(self) -> int:
        """Requests under way."""
        return len(self._jobs)

    async def metrics(self) -> str:
        """Its queue, cache and tokens, named as vLLM names them but for the prefix."""
        batching = self._batching
        used = 1 - batching.free_blocks / self._pace.kv_blocks
        figures = [
            ("num_requests_running", "gauge", len(batching.running)),
            ("num_requests_waiting", "gauge", len(batching.waiting)),
            ("kv_cache_usage_perc", "gauge", used),
            ("num_preemptions_total", "counter", batching.preemptions),
            ("prompt_tokens_total", "counter", self._prompt_tokens),
            ("generation_tokens_total", "counter", self._generated_tokens),
        ]
        return "".join(
            f"# TYPE simulated:{name} {kind}\n"
            f'simulated:{name}{{model_name="{self._model}"}} {value}\n'
            for name, kind, value in figures
        )

    async def stop(self) -> None:
        """End all requests and the stepping."""
        self._fail("the simulated engine was stopped")
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.wait([self._driver])
            self._driver = None

    async def answer(self, request: EngineRequest) -> Answer:
        """The whole answer, once its last token is due."""
        try:
            wanted = self._parse(request)
        except BadRequestError as refusal:
            return Answer(400, refusal.body)
        job = self._submit(wanted)
        try:
            while not job.finished:
                await self._progress(job)
        finally:
            self._drop(job)
        return Answer(200, Voice(request.request_id, wanted, self._model).whole())

    async def stream(self, request: EngineRequest) -> AsyncGenerator[Answer | bytes]:
        """The answer token by token, each when it is due."""
        try:
            wanted = self._parse(request)
        except BadRequestError as refusal:
            yield Answer(400, refusal.body)
            return
        job = self._submit(wanted)
        try:
            voice = Voice(request.request_id, wanted, self._model)
            said = [0] * len(job.sequences)
            begun = False
            while not job.finished or any(n < wanted.max_tokens for n in said):
                events = []
                for index, sequence in enumerate(job.sequences):
                    if said[index] < sequence.generated:
                        events.append(voice.events(index, said[index], sequence.generated))
                        said[index] = sequence.generated
                if events:
                    if not begun:
                        begun = True
                        yield Answer(200, media_type="text/event-stream")
                    yield b"".join(events)
                else:
                    await self._progress(job)
            yield voice.end()
        finally:
            self._drop(job)

    def _parse(self, request: EngineRequest) -> Wanted:
        wanted = parse(request, self._max_model_len)
        if not self._batching.fits(max(wanted.prompts), wanted.max_tokens):
            tokens = self._pace.kv_blocks * self._pace.block_size
            raise BadRequestError(f"the request does not fit the engine's cache of {tokens} tokens")
        return wanted

    def _submit(self, wanted: Wanted) -> _Job:
        self._alive()
        job = _Job(whole=not wanted.stream)
        now_s = asyncio.get_running_loop().time()
        for prompt in wanted.choices:
            sequence = Sequence(job, now_s, prompt, wanted.max_tokens)
            job.sequences.append(sequence)
            self._batching.add(sequence)
        self._prompt_tokens += sum(wanted.prompts)
        self._jobs.add(job)
        self._work.set()
        return job

    def _drop(self, job: _Job) -> None:
        self._jobs.discard(job)
        for sequence in job.sequences:
            if not sequence.finished:
                self._batching.remove(sequence)

    async def _progress(self, job: _Job) -> None:
        """Wait for a further token, or for the last one of an answer that is given whole."""
        self._alive()
        job.waiter = asyncio.get_running_loop().create_future()
        await job.waiter

    async def _drive(self) -> None:
        """Step for ever: one sleep a step, until the moment at which the step is due."""
        time_s = asyncio.get_running_loop().time
        try:
            while True:
                due_s = self._batching.launch()
                if due_s is None:
                    self._work.clear()
                    await self._work.wait()
                    continue
                # Late steps follow each other at once, until the clock has caught up.
                await asyncio.sleep(max(0.0, due_s - time_s()))
                self._hand_out(self._batching.collect())
        except Exception as error:
            _log.exception("the simulated engine broke")
            self._fail(f"the simulated engine broke: {error!r}")

    def _hand_out(self, grown: list[Sequence[_Job]]) -> None:
        self._generated_tokens += len(grown)
        for sequence in grown:
            job = sequence.owner
            waiter = job.waiter
            if waiter is None or waiter.done() or (job.whole and not job.finished):
                continue
            waiter.set_result(None)

    def _alive(self) -> None:
        if self._failure is not None:
            raise EngineError(self._failure)

    def _fail(self, message: str) -> None:
        self._failure = message
        for job in self._jobs:
            if job.waiter is not None and not job.waiter.done():
                job.waiter.set_exception(EngineError(message))
