"""From the log of a start to the seconds of its steps.

Durations that vLLM tells are preferred over differences of its times, which are whole seconds.
Binary files and logs of something else are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from boute.errors import DataError
from boute.startup.facts import ProcessFacts, StartLog, gather
from boute.startup.lines import read_lines
from boute.startup.steps import Cache, Startup, Step

__all__ = ["parse_file", "parse_lines"]

LONGEST_BYTES: Final = 64 * 2**20  # a start is at the beginning
ROUNDING_S: Final = 2.0  # of two times that are told in whole seconds

T = TypeVar("T")


def parse_file(path: Path) -> Startup:
    """Read a log file; raise DataError where it cannot be read or is not of a start of vLLM."""
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_BYTES)
    except (OSError, ValueError) as problem:
        reason = str(getattr(problem, "strerror", None) or problem).lower()
        raise DataError(
            f"cannot be read: {reason}", where=str(path), mend="check the path"
        ) from None
    if not data.strip():
        raise DataError("is empty", where=str(path), mend="was the log written elsewhere?")
    if b"\0" in data[:65_536]:
        raise DataError("is not text", where=str(path), mend="give the log as plain text")
    return parse_lines(data.decode("utf-8", "replace").splitlines(), where=str(path))


def parse_lines(lines: Sequence[str], *, where: str) -> Startup:
    """Make sense of the lines of a log; raise DataError where none is of a start of vLLM."""
    log = gather(read_lines(lines))
    if not log.kinds - {"ready", "launch"}:
        raise DataError(
            "has no line of a start of vLLM",
            where=where,
            mend="give all that the engine writes, from its start, at level INFO",
        )
    return _startup(log)


def _startup(log: StartLog) -> Startup:
    processes = list(log.processes.values())
    eager = _agreed([settings.eager for settings in log.settings])
    steps: dict[Step, float | None] = {
        "bootstrap": _bootstrap(log),
        "tokenizer": _slowest([process.told("tokenizer_s") for process in processes]),
        "loading": _slowest([_loading(process) for process in processes]),
        "compile": _compile(processes, eager=eager),
        "profiling": None,
        "capture": _slowest([process.told("captured_s") for process in processes]),
    }
    steps["profiling"] = _profiling(processes, steps, eager=eager)
    if steps["bootstrap"] is not None and steps["tokenizer"] is not None:
        steps["bootstrap"] = max(0.0, steps["bootstrap"] - steps["tokenizer"])
    total = None
    if log.first_s is not None and log.ready_s is not None:
        total = max(0.0, log.ready_s - log.first_s)
    startup = Startup(
        steps=steps,
        total_s=total,
        version=log.version,
        model=_agreed([settings.model for settings in log.settings]),
        eager=eager,
        cache=_cache(log),
        tensor_parallel=_agreed([settings.tensor_parallel for settings in log.settings]),
        captured_sizes=_agreed([settings.captured_sizes for settings in log.settings]),
        workers=max(1, sum("load" in process.kinds for process in processes)),
        engines=max(1, sum("engine" in process.kinds for process in processes)),
        notes=(),
    )
    return _with_notes(startup, log)


def _bootstrap(log: StartLog) -> float | None:
    """From the first line until the first worker begins to load."""
    loads = [process.first_s.get("load") for process in log.processes.values()]
    told = [seconds for seconds in loads if seconds is not None]
    if not told or log.first_s is None:
        return None
    return max(0.0, min(told) - log.first_s)


def _loading(process: ProcessFacts) -> float | None:
    told = process.told("loaded_s")
    if told is not None:
        return told
    # CPUs tell only what reading took; the rest shows in the times, where these are fine enough.
    between = process.between("load", "warm", "cache_sized", "dynamo_s")
    read = process.told("weights_s")
    known = [seconds for seconds in (between, read) if seconds is not None]
    return max(known) if known else None


def _compile(processes: Sequence[ProcessFacts], *, eager: bool | None) -> float | None:
    if eager:
        return None
    return _slowest([_compile_of(process) for process in processes])


def _compile_of(process: ProcessFacts) -> float | None:
    """Tracing and graphs. Totals of older versions leave out graphs that come from the cache."""
    warming = process.between("warm", "warmed")
    if warming is not None:
        return max(0.0, warming - process.seconds.get("run_s", 0.0))
    parts = [process.told(kind) for kind in ("dynamo_s", "graph_load_s", "graph_compile_s")]
    totals = [
        process.told(kind)
        for kind in ("compiled_s", "compiled_so_far_s", "compiled_and_run_s", "engine_compiled_s")
    ]
    known = [seconds for seconds in parts if seconds is not None]
    if known:
        totals.append(sum(known))
    return _slowest(totals)


def _profiling(
    processes: Sequence[ProcessFacts], steps: dict[Step, float | None], *, eager: bool | None
) -> float | None:
    """What the engine took after loading, without compiling and capturing."""
    compiled = steps["compile"] or 0.0
    engine = _slowest([process.told("engine_s") for process in processes])
    if engine is not None:
        return max(0.0, engine - compiled - (steps["capture"] or 0.0))
    profiled = _slowest([process.told("profiled_s") for process in processes])
    if profiled is not None:
        return max(0.0, profiled - compiled)
    runs = [process.told("run_s") for process in processes]
    if eager:
        runs += [process.between("warm", "warmed") for process in processes]
    return _slowest(runs)


def _cache(log: StartLog) -> Cache | None:
    if "cache_used" in log.kinds:
        return "warm"
    return "cold" if "cache_filled" in log.kinds else None


def _with_notes(startup: Startup, log: StartLog) -> Startup:
    notes = list(log.notes)
    if startup.engines > 1:
        notes.append(f"{startup.engines} engines write to the log: each step is the slowest one's")
    if "ready" not in log.kinds:
        notes.append("the log ends before the engine is ready")
    elif startup.total_s is None:
        notes.append("the lines have no times: give the log as vLLM formats it")
    elif startup.explained_s > startup.total_s + ROUNDING_S:
        notes.append("the steps take longer than the whole: is the beginning of the log missing?")
    return replace(startup, notes=tuple(notes))


def _slowest(seconds: Iterable[float | None]) -> float | None:
    return max((one for one in seconds if one is not None), default=None)


def _agreed(values: Sequence[T | None]) -> T | None:
    """The value that all engines tell, None where they differ or tell none."""
    told = {value for value in values if value is not None}
    return told.pop() if len(told) == 1 else None
