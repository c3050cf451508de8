"""What became of one request, and files with one such row a request.

A file has every field but the gaps between chunks, and is read again by `read_records`; where no
request failed it is also a trace (`arrival_s`, `input_tokens`, `output_tokens`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from boute.errors import DataError
from boute.files import write_text
from boute.metrics import tpot_s, within_limits
from boute.tables import read_table

__all__ = ["Record", "meets", "read_records", "write_records"]


@dataclass(frozen=True, slots=True)
class Record:
    """One request as the client saw it; times in seconds.

    `arrival_s` is when the trace wants it sent and `sent_s` when it was, both from the start of
    the replay; `client_lag_s` is how late the client itself was, without the wait for a place
    under a limit of concurrency. `ttft_s` is from sending to the first chunk with content, None
    where the answer came whole or not at all; `e2e_s` from sending to the last chunk of the answer
    or to the failure. `itl_s` are the gaps between chunks with content. Tokens are the server's
    own `usage`, else those of the trace (input) and the chunks with content (output). `error` is
    empty for a request that was answered in full, else the kind of failure and, after a colon, the
    words of it. `quality` in [0, 1] is that of a checked answer.
    """

    arrival_s: float
    sent_s: float
    client_lag_s: float
    ttft_s: float | None
    e2e_s: float
    input_tokens: int
    output_tokens: int
    model: str
    pool: str
    status: int | None
    error: str
    quality: float | None = None
    itl_s: tuple[float, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it was answered in full."""
        return not self.error

    @property
    def reason(self) -> str:
        """The kind of failure, empty if there was none: `HTTP 429`, `timeout`."""
        return self.error.split(":", 1)[0]

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first; None where there is one token or no TTFT."""
        return tpot_s(self.ttft_s, self.e2e_s, self.output_tokens)


def meets(record: Record, limits: Mapping[str, float]) -> bool:
    """Whether a request counts as goodput: answered, and within each limit in seconds.

    `limits` has `ttft`, `tpot` or `e2e`. As in `boute.evaluate` and in vLLM, an answer of one
    token meets any limit on TPOT. An answer that came whole has no TTFT to be judged by.
    """
    measured = {"ttft": record.ttft_s, "tpot": record.tpot_s, "e2e": record.e2e_s}
    return record.ok and within_limits(measured, limits)


def write_records(records: Iterable[Record], path: Path) -> None:
    """Write JSON Lines, a row a request; raise OutputError."""
    write_text(path, "".join(f"{json.dumps(_row(record))}\n" for record in records))


def read_records(path: Path) -> list[Record]:
    """The rows that `write_records` wrote, without `itl_s`; raise DataError."""
    table = read_table(path, rows="requests")
    records = []
    for row in range(len(table)):
        values = {name: column[row] for name, column in table.columns.items() if name != "tpot_s"}
        try:
            records.append(_RECORD.validate_python(values))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in problem["loc"])
            raise DataError(
                f"is no row of boute bench: {key}: {problem['msg'].lower()}", where=table.place(row)
            ) from None
    return records


_RECORD = TypeAdapter(Record)


def _row(record: Record) -> dict[str, object]:
    row = asdict(record)
    del row["itl_s"]
    return row | {"tpot_s": record.tpot_s}
