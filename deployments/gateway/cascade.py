"""A cascade: small models answer first, and what they are not sure of a larger one answers anew.

Each answer but the last model's is had as a whole and checked before the client sees any of it. An
answer whose confidence cannot be told is taken for an unsure one, and a model that fails or refuses
for one that gave none: the next is asked, which answers without a check.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from boute.deployments.engines.base import Answer
from boute.deployments.gateway.as_stream import as_stream
from boute.deployments.gateway.bodies import Query
from boute.deployments.gateway.chooser import Attempt, Choice, Chooser
from boute.deployments.gateway.confidence import Asking, Said, asking, read_answer
from boute.deployments.gateway.errors import RequestError
from boute.deployments.gateway.forward import Opened, first_answer
from boute.deployments.gateway.usage import Tokens, usage_in
from boute.deployments.record import Discarded, Escalation

__all__ = ["Ask", "Checked", "climb"]

Ask = Callable[[Attempt, Query], Awaitable[Opened]]
Escalate = Callable[["Checked | None"], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer that was checked, and who gave it."""

    attempt: Attempt
    said: Said
    tokens: Tokens

    def answer_to(self, query: Query) -> Answer:
        """The answer as the client asked for it: as JSON, or as all events of a stream at once."""
        said = self.said.answer
        if not query.stream:
            return Answer(200, json.dumps(said, separators=(",", ":")).encode())
        events = as_stream(said, chat=query.chat, usage=query.wants_usage)
        return Answer(200, events, "text/event-stream; charset=utf-8")

    def discarded(self) -> Discarded:
        """The answer as it is recorded when it was not given."""
        attempt, confidence = self.attempt, self.said.confidence
        return Discarded(attempt.model, attempt.pool, *self.tokens, confidence)

    @property
    def shortcoming(self) -> Escalation:
        """Why it was not given, where it was not."""
        return "unknown" if self.said.confidence is None else "unsure"


async def climb(
    choice: Choice,
    query: Query,
    chooser: Chooser,
    ask: Ask,
    escalate: Escalate,
) -> Checked | Choice:
    """The first answer that is sure enough; or the choice of the last model, yet to be asked.

    `escalate` is told of each answer that is not given, and of None where a model gave none.
    """
    asked = asking(query)
    while choice.above:
        if asked is not None:
            checked = await _check(chooser.attempts(choice), asked, ask)
            confidence = None if checked is None else checked.said.confidence
            if checked is not None and confidence is not None and confidence >= choice.least:
                return checked
            escalate(checked)
        choice = chooser.next(choice)
    return choice


async def _check(attempts: Iterable[Attempt], asked: Asking, ask: Ask) -> Checked | None:
    """The whole answer of one model; None where it fails, refuses or makes no sense."""
    tried: list[Attempt] = []

    async def note_and_ask(attempt: Attempt) -> Opened:
        tried.append(attempt)
        return await ask(attempt, asked.query)

    try:
        opened = await first_answer(attempts, note_and_ask)
    except RequestError:
        return None
    body = opened.answer.body
    said = read_answer(body, asked) if opened.answer.status == 200 else None
    return None if said is None else Checked(tried[-1], said, usage_in(body) or (None, None))
