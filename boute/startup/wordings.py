"""What vLLM says while it starts, from 0.10 to 0.33, and what each saying is evidence of.

A wording either tells seconds or marks a moment. They are matched in text alone, because files and
line numbers move with every release. Where a wording changed, both are here.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

__all__ = ["Fact", "Kind", "Settings", "facts_of", "settings_of", "version_of"]

Kind = Literal[
    "launch",  # a server says what it was given
    "engine",  # an engine begins
    "load",  # loading begins
    "weights_s",  # reading the weights took
    "loaded_s",  # all of loading took
    "warm",  # a CPU begins to compile and to run once
    "warmed",  # and is done
    "dynamo_s",  # tracing took
    "graph_load_s",  # graphs from the cache took
    "graph_compile_s",  # graphs without a cache took
    "cache_used",
    "cache_filled",
    "compiled_s",  # all of compiling took, of one model
    "compiled_so_far_s",  # the same in older versions, of all models up to here
    "compiled_and_run_s",  # with the first run, which is not told apart
    "run_s",  # the first run after compiling took
    "profiled_s",  # measuring memory took, compiling included
    "cache_sized",  # there is a KV cache
    "captured_s",
    "engine_s",  # the engine after loading took
    "engine_compiled_s",  # of that, compiling took
    "tokenizer_s",
    "ready",
]

_SECONDS: Final = r"(\d{1,7}(?:\.\d{1,9})?)"


class Fact(NamedTuple):
    """What one line tells; `seconds` is None of a moment."""

    kind: Kind
    seconds: float | None


_WORDINGS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = tuple(
    (kind, re.compile(pattern))  # type: ignore[misc]  # the names are those of Kind
    for kind, pattern in (
        ("launch", r"non-default args: |vLLM API server version "),
        ("engine", r"Initializing (?:a|an) (?:V\d )?LLM engine \("),
        ("load", r"Starting to load model "),
        ("weights_s", rf"Loading weights took {_SECONDS} s"),
        ("loaded_s", rf"Model loading took [\d.]+ Gi?B(?: memory)? and {_SECONDS} s"),
        ("warm", r"Warming up model for the compilation"),
        ("warmed", r"Warming up done"),
        ("dynamo_s", rf"Dynamo bytecode transform time: {_SECONDS} s"),
        ("graph_load_s", rf"Directly load the compiled graph.{{1,80}} took {_SECONDS} s"),
        ("cache_used", r"Directly load (?:the compiled graph|AOT compilation)"),
        ("cache_used", r"Compiling model again due to a load failure"),
        ("graph_compile_s", rf"Compiling a graph for .{{1,80}} takes {_SECONDS} s"),
        ("cache_filled", r"Compiling a graph for |saved AOT compiled function"),
        ("compiled_s", rf"torch\.compile took {_SECONDS} s in total"),
        ("compiled_so_far_s", rf"torch\.compile takes {_SECONDS} s in total"),
        (
            "compiled_and_run_s",
            rf"torch\.compile and initial profiling/warmup run together took {_SECONDS} s",
        ),
        ("run_s", rf"Initial profiling/warmup run took {_SECONDS} s"),
        ("profiled_s", rf"Memory profiling (?:takes|took) {_SECONDS} s"),
        ("cache_sized", r"(?:GPU|CPU) KV cache size: |# GPU blocks: "),
        ("captured_s", rf"Graph capturing finished in {_SECONDS} s"),
        ("engine_s", rf"init engine \(profile, create kv cache, warmup model\) took {_SECONDS} s"),
        ("engine_compiled_s", rf"warmup model\) took [\d.]+ s \(compilation: {_SECONDS} s"),
        # Not vLLM's own: the patch of the paper's artifact.
        ("tokenizer_s", rf"Init Tokenizer took {_SECONDS} s"),
        ("ready", r"Application startup complete"),
    )
)
# Most lines of a long log are none of these.
_ANY: Final = re.compile("|".join(f"(?:{pattern.pattern})" for _, pattern in _WORDINGS))


def facts_of(text: str) -> list[Fact]:
    """What a line tells; usually nothing."""
    if not _ANY.search(text):
        return []
    found = ((kind, pattern.search(text)) for kind, pattern in _WORDINGS)
    return [
        Fact(kind, float(match.group(1)) if match.groups() else None)
        for kind, match in found
        if match
    ]


class Settings(NamedTuple):
    """What an engine says of its settings as it begins; None where it does not."""

    model: str | None
    eager: bool | None
    tensor_parallel: int | None
    captured_sizes: int | None


def settings_of(text: str) -> Settings:
    """Settings in the text of an `engine` line."""
    model = re.search(r"\bmodel='([^']{1,500})'", text)
    eager = re.search(r"\benforce_eager=(True|False)", text)
    ranks = re.search(r"\btensor_parallel_size=(\d{1,5})\b", text)
    sizes = re.search(r"[\"']cudagraph_capture_sizes[\"']: ?\[([\d, ]*)\]", text)
    return Settings(
        model=model.group(1) if model else None,
        eager=eager.group(1) == "True" if eager else None,
        tensor_parallel=int(ranks.group(1)) if ranks else None,
        captured_sizes=len(sizes.group(1).replace(",", " ").split()) if sizes else None,
    )


def version_of(text: str) -> str | None:
    """vLLM's version where a line tells it."""
    found = re.search(
        r"LLM engine \(v(\d[\w.+-]{0,60})\)|API server version (\d[\w.+-]{0,60})", text
    )
    return next(filter(None, found.groups())) if found else None
