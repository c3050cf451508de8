"""The one door to a workload: what `workload` of a spec asks for, as a trace.

A file keeps its requests: the window and the number of requests are cut in the trace's own time,
then `rate_scale` divides all times, so that the order and the shape of bursts stay and the trace
gets shorter. A preset or a generator has its rate scaled, keeps its duration, and is cut after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from boute.errors import DataError
from boute.spec.load import resolve
from boute.spec.workload import WorkloadSource
from boute.tables import table_file
from boute.workload.arrays import Trace
from boute.workload.generators import generate
from boute.workload.presets import draw_preset, load_preset, preset_names

__all__ = ["MAX_SCALE", "compress", "cut", "load_trace"]

MAX_SCALE: Final = 1e6
"""A rate scaled further than this, either way, is a slip of the pen."""

_STREAM: Final = 1
"""Keeps these draws apart from others that a study makes with the same seed."""


def load_trace(source: WorkloadSource, folder: Path, seed: int) -> Trace:
    """The requests that `source` asks for; the same for the same seed.

    A relative file is sought in `folder`, and comes before a preset of its name. Raises DataError.
    """
    if not 1.0 / MAX_SCALE <= source.rate_scale <= MAX_SCALE:
        raise DataError(
            f"should be from {1.0 / MAX_SCALE:g} to {MAX_SCALE:g} (it is {source.rate_scale:g})",
            where="workload.rate_scale",
        )
    path = None
    if source.trace is not None:
        path = table_file(source.trace, resolve(source.trace, folder), preset_names())
    if path is not None:
        # Only files need pandas.
        from boute.workload.readers import read_trace

        return compress(cut(read_trace(path, source.columns), source), source.rate_scale)
    if source.columns:
        raise DataError(
            "are for files, and this workload is none", where="workload.columns", mend="remove them"
        )
    rng = np.random.default_rng([_STREAM, seed])
    if source.generator is not None:
        rate = source.generator.rate_per_s * source.rate_scale
        return cut(generate(source.generator.model_copy(update={"rate_per_s": rate}), rng), source)
    assert source.trace is not None  # the spec holds one of the two
    preset = load_preset(source.trace)
    return cut(draw_preset(preset, rng, rate_scale=source.rate_scale), source)


def cut(trace: Trace, source: WorkloadSource) -> Trace:
    """The window of `trace` from start_s for duration_s, at most max_requests long.

    A window that reaches past the end of the trace ends with it. Raises DataError when nothing is
    in the window.
    """
    start_s = source.start_s
    if start_s >= trace.duration_s:
        raise DataError(
            f"{start_s:g} is past the end of {trace.name}, which lasts {trace.duration_s:g} s",
            where="workload.start_s",
            mend="start earlier",
        )
    end_s = trace.duration_s if source.duration_s is None else start_s + source.duration_s
    first = int(np.searchsorted(trace.arrival_s, start_s))
    last = len(trace) if end_s >= trace.duration_s else int(np.searchsorted(trace.arrival_s, end_s))
    end_s = min(end_s, trace.duration_s)
    if source.max_requests is not None and last - first > source.max_requests:
        # The window ends where the next request would have come, which keeps the rate unbiased.
        last = first + source.max_requests
        end_s = float(trace.arrival_s[last])
    if first == last:
        raise DataError(
            f"no request of {trace.name} arrives from {start_s:g} to {end_s:g} s",
            where="workload.duration_s",
            mend="widen the window",
        )
    if end_s == start_s:
        raise DataError(
            f"the first {last - first} requests of {trace.name} come at once: there is no rate",
            where="workload.max_requests",
            mend="take more",
        )
    window = slice(first, last)
    return Trace(
        trace.name,
        trace.arrival_s[window] - start_s,
        trace.input_tokens[window],
        trace.output_tokens[window],
        end_s - start_s,
    )


def compress(trace: Trace, rate_scale: float) -> Trace:
    """The same requests in 1 / rate_scale of the time."""
    return Trace(
        trace.name,
        trace.arrival_s / rate_scale,
        trace.input_tokens,
        trace.output_tokens,
        trace.duration_s / rate_scale,
    )
