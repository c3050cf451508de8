"""What an engine's batches held while it answered, told from when the tokens of answers came.

An answer that streams is a clock: it gets one token a step. Between its first and its last token,
the other answers show what else was in those steps: a token of theirs that comes is a decode, and
the first of one is the end of its prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boute.measure.answer import Answer
from boute.measure.fit import Cell

__all__ = ["mean_step"]


def mean_step(answers: Sequence[Answer], *, stages: int = 1) -> Cell | None:
    """The mean step over all stretches in which an answer of more than one chunk streams.

    `answers` are all that the engine had to do. Chunks that hold several tokens are counted evenly.
    With a pipeline the sequences are spread over the batches in flight, as in the simulator. None
    when nothing streams.
    """
    clocks = [answer for answer in answers if len(answer.chunk_s) > 1]
    if not clocks:
        return None
    sums = np.sum([_during(clock, answers) for clock in clocks], axis=0)
    steps, decodes, context, prompts, prompt_tokens, pairs = map(float, sums)
    seconds = sum(clock.chunk_s[-1] - clock.chunk_s[0] for clock in clocks) / steps
    sequences = (decodes + prompts) / steps
    flight = min(float(stages), max(sequences, 1.0))
    return Cell(
        steps=1.0,
        tokens=(decodes + prompt_tokens) / steps / flight,
        sequences=sequences / flight,
        pairs=pairs / steps / flight,
        context=context / steps / flight,
        requests=0.0,
        seconds=seconds / stages,
    )


def _during(clock: Answer, answers: Sequence[Answer]) -> np.ndarray:
    """Steps, decodes, context that they read, prompts that end, their tokens and pairs [6]."""
    start_s, end_s = clock.chunk_s[0], clock.chunk_s[-1]
    found = np.zeros(6)
    found[0] = (len(clock.chunk_s) - 1) * clock.tokens_per_chunk
    for answer in answers:
        first, last = np.searchsorted(answer.chunk_s, [start_s, end_s], side="right")
        if first == 0 and last > 0:
            found[3:] += 1.0, answer.input_tokens, answer.input_tokens**2 / 2.0
        # Chunks first to last - 1 are decodes, but for the one that ends the prompt.
        first = max(int(first), 1)
        count = max(int(last) - first, 0) * answer.tokens_per_chunk
        middle = (first + int(last) - 1) / 2.0 * answer.tokens_per_chunk
        # The step that gives token n (from 0) reads the prompt and n tokens.
        found[1:3] += count, count * (answer.input_tokens + middle)
    return found
