"""What the trained models make of problems that they have not seen, and the two files made of it.

`quality.csv` is a quality table of boute and `trace.csv` a trace of further problems, which name
each query, so that a bench can send it and judge the reply.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from model import prompt_ids
from task import DIFFICULTIES, Problem, answer_of
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from boute.files import write_text

__all__ = ["Reply", "accuracy_table", "replies", "write_quality", "write_trace"]

# Well above the longest right answer (77): a model that rambles is cut off.
MAX_OUTPUT_TOKENS: Final = 128
BATCH: Final = 250
KINDS: Final = ("quality", "output_tokens", "confidence")


@dataclass(frozen=True)
class Reply:
    """Whether the total was right, the tokens generated, the closing one included, and how sure.

    `confidence` is the geometric mean of the tokens' probabilities, as an ingress measures it.
    """

    right: bool
    output_tokens: int
    confidence: float


def replies(folder: Path, problems: Sequence[Problem]) -> list[Reply]:
    """Greedy replies of a saved model to `problems`, in bfloat16 as vLLM runs it."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left")
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    found: dict[str, Reply] = {}
    # Alike in length, a batch is hardly padded and ends together.
    in_order = sorted(problems, key=lambda problem: problem.difficulty)
    for start in range(0, len(in_order), BATCH):
        batch = in_order[start : start + BATCH]
        chats = [[{"role": "user", "content": problem.query}] for problem in batch]
        prompts = tokenizer.apply_chat_template(
            chats, padding=True, return_tensors="pt", return_dict=True
        )
        made = model.generate(
            **prompts,
            do_sample=False,
            max_new_tokens=MAX_OUTPUT_TOKENS,
            output_scores=True,
            return_dict_in_generate=True,
        )
        logs = model.compute_transition_scores(made.sequences, made.scores, normalize_logits=True)
        ids = made.sequences[:, prompts["input_ids"].shape[1] :]
        for problem, row, log in zip(batch, ids, logs, strict=True):
            text = tokenizer.decode(row, skip_special_tokens=True)
            written = row != tokenizer.pad_token_id
            confidence = float(log[written].mean().exp())
            found[problem.query] = Reply(
                answer_of(text) == problem.answer, int(written.sum()), confidence
            )
    return [found[problem.query] for problem in problems]


def write_quality(
    path: Path, problems: Sequence[Problem], by_model: Mapping[str, Sequence[Reply]]
) -> None:
    """A row a problem: the query, and of each answer 0 or 1, its tokens and its confidence."""
    header = ["query", "difficulty", "answer", "input_tokens"]
    header += [f"{kind}_{name}" for name in by_model for kind in KINDS]
    rows = []
    for row, problem in enumerate(problems):
        values: list[object] = [problem.query, problem.difficulty, problem.answer]
        values.append(len(prompt_ids(problem.query)))
        for answers in by_model.values():
            reply = answers[row]
            values += [int(reply.right), reply.output_tokens, f"{reply.confidence:.6f}"]
        rows.append(values)
    write_text(path, _csv([header, *rows]))


def write_trace(
    path: Path, problems: Sequence[Problem], rate_per_s: float, rng: np.random.Generator
) -> None:
    """A request a problem, Poisson arrivals; output tokens are those of the right answer."""
    arrival_s = np.cumsum(rng.exponential(1 / rate_per_s, size=len(problems)))
    header = ["arrival_s", "input_tokens", "output_tokens", "query", "answer"]
    rows = [
        (f"{at:.4f}", len(prompt_ids(problem.query)), len(problem.working) + 1, problem.query,
         problem.answer)
        for at, problem in zip(arrival_s, problems, strict=True)
    ]  # fmt: skip
    write_text(path, _csv([header, *rows]))


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def accuracy_table(problems: Sequence[Problem], by_model: Mapping[str, Sequence[Reply]]) -> str:
    """Share of right answers by difficulty and model, as lines of text."""
    lines = ["entries  " + "  ".join(f"{name:>7}" for name in by_model)]
    for level in (*DIFFICULTIES, None):
        rows = [i for i, p in enumerate(problems) if level is None or p.difficulty == level]
        shares = [
            f"{np.mean([answers[i].right for i in rows]):7.3f}" if rows else "      -"
            for answers in by_model.values()
        ]
        lines.append(f"{level or 'all':>7}  " + "  ".join(shares))
    return "\n".join(lines)
