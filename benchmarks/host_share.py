"""What the host does for a step of vLLM, measured with a model that computes next to nothing.

    python -m benchmarks.host_share [--sequences 1,8,32,64,128] [--json]

One layer of width 64 and 512 words, random weights, on vLLM for CPUs. Printed are milliseconds of a
decode step without the model's own forward pass and sampling, and the line through them: the time
of a step and of a sequence in it. `core` is the engine core in this process: scheduling, inputs,
books. `served` adds what a server has: engine core, worker and caller in processes of their own,
taken from the time between steps, less the same forward pass and sampling.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHORT, LONG = 100, 500
LAYER = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "vocab_size": 512,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "hidden_act": "silu",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", default="1,8,32,64,128")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = [int(part) for part in options.sequences.split(",")]
    core, inside = in_process(sizes)
    whole = served(sizes)
    rows = {"core": core, "served": {size: whole[size] - inside[size] for size in sizes}}
    if options.json:
        print(json.dumps({name: {**row, "line": line(row)} for name, row in rows.items()}))
        return
    for name, row in rows.items():
        step_us, sequence_us = line(row)
        figures = "  ".join(f"{size}: {ms:.2f}" for size, ms in row.items())
        print(f"{name}: {step_us:.0f} us a step, {sequence_us:.1f} us a sequence (ms: {figures})")


def line(row: dict[int, float]) -> tuple[float, float]:
    """Microseconds a step and a sequence, by least squares on milliseconds."""
    slope, floor = np.polyfit(list(row), list(row.values()), 1)
    return float(floor) * 1e3, float(slope) * 1e3


def in_process(sizes: list[int]) -> tuple[dict[int, float], dict[int, float]]:
    """Median milliseconds of a step outside the model and sampling, and inside."""
    llm = engine(processes=False)
    core = llm.llm_engine.engine_core.engine_core
    runner = core.model_executor.driver_worker.worker.model_runner
    spent = [0.0]
    for owner, name in ((runner, "_model_forward"), (runner.model, "compute_logits")):
        setattr(owner, name, timed(getattr(owner, name), spent))
    runner.sampler.forward = timed(runner.sampler.forward, spent)
    steps: list[tuple[float, float]] = []
    step = core.step_fn

    def counted(*args: Any, **kwargs: Any) -> Any:
        spent[0] = 0.0
        begun = time.perf_counter()
        made = step(*args, **kwargs)
        steps.append((time.perf_counter() - begun, spent[0]))
        return made

    core.step_fn = counted
    outside, inside = {}, {}
    for size in sizes:
        steps.clear()
        generate(llm, size, SHORT)
        middle = steps[SHORT // 5 : -SHORT // 10]
        outside[size] = 1e3 * statistics.median(whole - model for whole, model in middle)
        inside[size] = 1e3 * statistics.median(model for _, model in middle)
    return outside, inside


def served(sizes: list[int]) -> dict[int, float]:
    """Milliseconds between steps of an engine in processes of its own."""
    llm = engine(processes=True)
    return {
        size: 1e3 * (generate(llm, size, LONG) - generate(llm, size, SHORT)) / (LONG - SHORT)
        for size in sizes
    }


def engine(*, processes: bool) -> Any:
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1" if processes else "0",
    }
    from vllm import LLM

    folder = Path(tempfile.mkdtemp())
    (folder / "config.json").write_text(json.dumps(LAYER))
    return LLM(
        str(folder),
        dtype="bfloat16",
        max_model_len=1024,
        max_num_seqs=256,
        max_num_batched_tokens=4096,
        enforce_eager=True,
        distributed_executor_backend="mp" if processes else "uni",
        kv_cache_memory_bytes=256 * 2**20,
        load_format="dummy",
        skip_tokenizer_init=True,
        async_scheduling=False,
        enable_prefix_caching=False,
        disable_log_stats=True,
    )


def generate(llm: Any, sequences: int, tokens: int) -> float:
    """Seconds for so many sequences of so many tokens."""
    from vllm import SamplingParams

    prompts = [{"prompt_token_ids": [2 + i % 500] * 16} for i in range(sequences)]
    asked = SamplingParams(max_tokens=tokens, ignore_eos=True, temperature=0.0, detokenize=False)
    begun = time.perf_counter()
    llm.generate(prompts, asked, use_tqdm=False)
    return time.perf_counter() - begun


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The function, adding its seconds to `spent`."""

    def run(*args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        made = function(*args, **kwargs)
        spent[0] += time.perf_counter() - begun
        return made

    return run


if __name__ == "__main__":
    main()
