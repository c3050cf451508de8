"""Trains the tiny family from scratch, measures it, and writes all that the loop needs of it.

    python examples/tiny/train.py --out out/tiny [--seed 0] [--quick]

makes `models/small`, `models/medium` and `models/large` (Hugging Face folders with a `card.yaml`),
`quality.csv` and `trace.csv`. Needs the packages of the CPU engine (transformers, and a PyTorch
with Muon). Two models are trained at a time with one thread each, so that the same seed gives the
same weights on the same kind of processor. `--quick` goes through all of it with a few steps, and
its models know nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import transformers
from measure import Reply, accuracy_table, replies, write_quality, write_trace
from model import END, PAD, grow, ids_of, new_model, prompt_ids, save
from task import Problem, training_problem, unseen
from transformers import LlamaForCausalLM

BATCH: Final = 32
IGNORED: Final = -100
MATRIX_LEARNING_RATE: Final = 0.02
OTHER_LEARNING_RATE: Final = 3e-3
WARMUP_STEPS: Final = 30
DECAY_SHARE: Final = 0.4  # of the steps, at the end
QUALITY_ROWS: Final = 4000
TRACE_REQUESTS: Final = 1800
TRACE_RATE_PER_S: Final = 4.0


@dataclass(frozen=True)
class Member:
    """A model of the family: its depth as it grows, and the steps trained at each depth."""

    name: str
    stages: tuple[tuple[int, int], ...]


# Only depth differs: what a decode step costs on CPU is mostly a fixed time a layer. The large one
# goes first, because it takes longer than the others together.
FAMILY: Final[tuple[Member, ...]] = (
    Member("large", ((2, 350), (6, 350), (16, 250))),
    Member("medium", ((2, 200), (6, 180))),
    Member("small", ((2, 280),)),
)


def halves_of_a_batch(rng: np.random.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and labels [BATCH / 2, length] of short and of long problems: less is padding."""
    problems = [training_problem(rng) for _ in range(BATCH)]
    problems.sort(key=lambda problem: problem.difficulty)
    return [_tensors(problems[: BATCH // 2]), _tensors(problems[BATCH // 2 :])]


def _tensors(problems: list[Problem]) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts and padding are no labels."""
    rows = [(prompt_ids(p.query), [*ids_of(p.working), END]) for p in problems]
    shape = (len(rows), max(len(prompt) + len(answer) for prompt, answer in rows))
    ids = torch.full(shape, PAD)
    labels = torch.full(shape, IGNORED)
    for row, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    return ids, labels


def train_stage(model: LlamaForCausalLM, steps: int, rng: np.random.Generator) -> None:
    """Train in place: Muon for the matrices of the layers, Adam for the rest."""
    # The backward pass of the fused attention takes half of all time on CPU.
    model.set_attn_implementation("eager")
    named = list(model.named_parameters())
    matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in named if p.ndim != 2 or "embed" in name]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=MATRIX_LEARNING_RATE, weight_decay=0.0),
        torch.optim.AdamW(others, lr=OTHER_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min(
                1.0, (step + 1) / WARMUP_STEPS, (steps - step) / (DECAY_SHARE * steps)
            ),
        )
        for optimizer in optimizers
    ]
    for _ in range(steps):
        for ids, labels in halves_of_a_batch(rng):
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(ids[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(
                logits.float().flatten(0, 1),
                labels[:, 1:].flatten(),
                ignore_index=IGNORED,
                reduction="sum",  # neither Muon nor Adam minds the scale
            )
            loss.backward()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()


def make_member(
    member: Member, folder: Path, seed: int, problems: list[Problem]
) -> tuple[list[Reply], str]:
    """Train and save one model, and let it answer; the replies and a line that says how long."""
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, member.stages[-1][0]])
    started = time.perf_counter()
    model = new_model(member.stages[0][0])
    for layers, steps in member.stages:
        if layers != len(model.model.layers):
            model = grow(model, layers)
        train_stage(model, steps, rng)
    save(model, folder)
    trained = time.perf_counter()
    answers = replies(folder, problems)
    times = (
        f"trained in {trained - started:.0f} s, answered in {time.perf_counter() - trained:.0f} s"
    )
    return answers, f"{member.name}: {model.num_parameters() / 1e6:.2f}M parameters, {times}"


def main() -> None:
    """Make the family under --out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few steps, to try the whole path")
    arguments = parser.parse_args()
    family, rows, requests = FAMILY, QUALITY_ROWS, TRACE_REQUESTS
    if arguments.quick:
        family = tuple(Member(m.name, tuple((layers, 2) for layers, _ in m.stages)) for m in FAMILY)
        rows, requests = 40, 20
    rng = np.random.default_rng(arguments.seed)
    problems = unseen(rows, rng)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        made = {
            member.name: pool.submit(
                make_member,
                member,
                arguments.out / "models" / member.name,
                arguments.seed,
                problems,
            )
            for member in family
        }
        by_model: dict[str, list[Reply]] = {}
        for name in reversed(made):
            by_model[name], line = made[name].result()
            print(line, flush=True)
    write_quality(arguments.out / "quality.csv", problems, by_model)
    further = unseen(requests, rng, other_than=problems)
    write_trace(arguments.out / "trace.csv", further, TRACE_RATE_PER_S, rng)
    print(accuracy_table(problems, by_model))


if __name__ == "__main__":
    main()
