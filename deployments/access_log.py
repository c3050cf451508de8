"""The access log: a JSON object a line and a request, which is also a trace to plan with.

`workload: {trace: access.jsonl}` reads it: `arrival` is in seconds since 1970, and requests that
were not answered in full have no tokens. Lines come in the order in which requests end.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from boute.deployments.record import RequestRecord
from boute.errors import OutputError

__all__ = ["AccessLog"]

FLUSH_S: Final = 1.0

_log: Final = logging.getLogger(__name__)


class AccessLog:
    """Appends records to a file from a thread of its own, at least once a second.

    With `path` None nothing is written. The file is opened anew each time, so one that was renamed
    away is followed by a new one without a signal. `prompts` adds the text of the query. Raises
    OutputError when the file cannot be written at the start; later failures are logged once and
    cost the lines that could not be written.
    """

    def __init__(self, path: Path | None, *, prompts: bool) -> None:
        self._path = path
        self._prompts = prompts
        self._waiting: deque[RequestRecord] = deque()
        self._closed = threading.Event()
        self._failing = False
        self._thread: threading.Thread | None = None
        if path is not None:
            _try(path)
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()

    def write(self, record: RequestRecord) -> None:
        """Take a record; it is encoded and written elsewhere."""
        if self._thread is not None and not self._closed.is_set():
            self._waiting.append(record)

    def close(self) -> None:
        """Write what is waiting and stop. Safe to call twice."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines = "".join(self._lines())
        if not lines or self._path is None:
            return
        # After a failure the last line may be half a one; what follows should not be part of it.
        data = memoryview(("\n" + lines if self._failing else lines).encode())
        try:
            with self._path.open("ab", buffering=0) as file:
                while data:
                    data = data[file.write(data) :]
            self._failing = False
        except OSError as problem:
            if not self._failing:
                _log.error("the access log %s cannot be written: %s", self._path, problem)
            self._failing = True

    def _lines(self) -> Iterator[str]:
        while self._waiting:
            yield json.dumps(self._fields(self._waiting.popleft()), ensure_ascii=False) + "\n"

    def _fields(self, record: RequestRecord) -> dict[str, Any]:
        whole = record.outcome == "ok"
        paid_input_tokens, paid_output_tokens = record.paid_tokens
        fields = {
            "request_id": record.request_id,
            "arrival": round(record.arrival_unix_s, 6),
            "plan": record.plan,
            "model": record.model,
            "pool": record.pool,
            "score": record.score,
            "asked_model": record.asked_model,
            "status": record.status,
            "outcome": record.outcome,
            "stream": record.stream,
            "attempts": record.attempts,
            "ttft_s": _rounded(record.ttft_s),
            "e2e_s": _rounded(record.e2e_s),
            "input_tokens": record.input_tokens if whole else None,
            "output_tokens": record.output_tokens if whole else None,
            "confidence": record.confidence,
            "discarded": len(record.discarded),
            "paid_input_tokens": paid_input_tokens,
            "paid_output_tokens": paid_output_tokens,
        }
        return {**fields, "prompt": record.prompt} if self._prompts else fields


def _try(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except (OSError, ValueError) as problem:
        reason = str(getattr(problem, "strerror", None) or problem).lower()
        raise OutputError(
            f"cannot be written: {reason}", where=str(path), mend="choose another access_log"
        ) from None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
