"""What is known of one request when it is over: for the metrics, the access log and the spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from boute.metrics import tpot_s, within_limits

__all__ = ["Discarded", "Escalation", "Outcome", "RequestRecord"]

Outcome = Literal["ok", "client_error", "engine_error", "timeout", "cancelled", "refused"]
Escalation = Literal["unsure", "unknown", "failed"]
"""Why a larger model is asked: too little confidence, none that can be told, or no answer."""


@dataclass(frozen=True, slots=True)
class Discarded:
    """An answer that a cascade had and did not give.

    Tokens are None where the engine told none, `confidence` where it could not be told.
    """

    model: str
    pool: str
    input_tokens: int | None
    output_tokens: int | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, answered or not.

    `model` and `pool` are those that had it last, None where none was chosen. `asked_model` is what
    the client wrote, None where the body could not be read. `ttft_s` and `e2e_s` count from the
    arrival at the ingress; `ttft_s` is None where no answer was streamed. Tokens are the engine's
    own `usage`, None where it gave none. `attempts` counts the pools asked. `traceparent` is the
    client's header of that name (W3C Trace Context).

    In a cascade `confidence` is that of the answer given, None where it was not checked, and
    `discarded` holds the answers of other models.
    """

    request_id: str
    arrival_unix_s: float
    model: str | None
    pool: str | None
    plan: str
    score: float | None
    asked_model: str | None
    status: int
    ttft_s: float | None
    e2e_s: float
    input_tokens: int | None
    output_tokens: int | None
    stream: bool
    attempts: int
    outcome: Outcome
    prompt: str | None = None
    traceparent: str | None = None
    confidence: float | None = None
    discarded: tuple[Discarded, ...] = ()

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first, None where it was not seen or there is none."""
        return tpot_s(self.ttft_s, self.e2e_s, self.output_tokens)

    @property
    def paid_tokens(self) -> tuple[int, int]:
        """Tokens of the prompts and of all answers, given or not, as far as engines told them."""
        prompts = sum(answer.input_tokens or 0 for answer in self.discarded)
        answers = sum(answer.output_tokens or 0 for answer in self.discarded)
        return prompts + (self.input_tokens or 0), answers + (self.output_tokens or 0)

    def within(self, limits: dict[str, float]) -> bool:
        """Whether the answer was whole and within limits in seconds on `ttft`, `tpot` and `e2e`.

        A limit on what cannot be seen at the ingress is not held against the request: an answer
        that is not streamed shows neither TTFT nor TPOT.
        """
        seen = {"ttft": self.ttft_s, "tpot": self.tpot_s, "e2e": self.e2e_s}
        return self.outcome == "ok" and within_limits(seen, limits)
