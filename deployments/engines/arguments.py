"""What vLLM is told: its arguments and its environment, from a pool's settings. Starts nothing.

One mapping serves all three ways of running it: in the replica, as a child process and through
Ray Serve LLM. Names are those of vLLM's command line with underscores, `served_by.args` go on top
of ours, and engine and front-end arguments (`chat_template`, `tool_call_parser`) mix freely.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from boute.deployments.engines.settings import EngineSettings
from boute.errors import PlanError

__all__ = ["command_line", "engine_env", "vllm_arguments"]

CPU_KV_CACHE_BYTES: Final = 128 * 2**20
CPU_BLOCK: Final = 32
# Formats of a checkpoint in four bits (GPTQ, AWQ) are read from the checkpoint itself.
_DTYPE: Final = {"bf16": "bfloat16", "fp8": "bfloat16", "int4": "auto"}


def vllm_arguments(settings: EngineSettings) -> dict[str, Any]:
    """Arguments of vLLM by name; raise PlanError for what it cannot do."""
    assert settings.weights_from is not None, "engine_settings sees to it"
    engine = settings.vllm
    gpus = settings.tensor_parallel * settings.pipeline_parallel
    arguments: dict[str, Any] = {
        "model": settings.weights_from,
        "served_model_name": [settings.model],
        "tensor_parallel_size": settings.tensor_parallel,
        "pipeline_parallel_size": settings.pipeline_parallel,
        # vLLM refuses more sequences than tokens in a step; the planner takes the lesser too.
        "max_num_seqs": min(engine.max_num_seqs, engine.max_num_batched_tokens),
        "max_num_batched_tokens": engine.max_num_batched_tokens,
        "block_size": engine.block_size,
        "max_model_len": settings.max_model_len,
        "dtype": _DTYPE[settings.weights],
        "quantization": "fp8" if settings.weights == "fp8" else None,
        "kv_cache_dtype": "fp8" if settings.kv_cache == "fp8" else None,
        # Said, because inside a Ray actor vLLM would choose its Ray executor.
        "distributed_executor_backend": "uni" if gpus == 1 else "mp",
        "async_scheduling": engine.async_scheduling,
    }
    if settings.device == "cpu":
        arguments |= {
            # Compiling takes a minute, and the default cache is a whole number of GiB.
            "enforce_eager": True,
            "kv_cache_memory_bytes": CPU_KV_CACHE_BYTES,
            # There is no device to keep busy: every token would only come one step later.
            "async_scheduling": engine.async_scheduling or False,
        }
        if settings.cores < 1:
            arguments |= {
                "worker_cls": "boute.deployments.engines.slot.SlotWorker",
                "additional_config": {"cores": settings.cores},
            }
    else:
        arguments["gpu_memory_utilization"] = engine.gpu_memory_utilization
    arguments |= settings.served_by.args
    if settings.device == "cpu" and (arguments["block_size"] or CPU_BLOCK) % CPU_BLOCK:
        raise PlanError(
            f"vLLM's attention on CPUs has blocks of {CPU_BLOCK} tokens or a multiple",
            where="engine.block_size",
            mend=f"set it to {CPU_BLOCK} in the spec and optimize again",
        )
    return {name: value for name, value in arguments.items() if value is not None}


def engine_env(settings: EngineSettings) -> dict[str, str]:
    """Environment that has to be there before the engine's libraries are imported."""
    if not settings.served_by.on_devices:
        return dict(settings.served_by.env)
    environment = {"VLLM_NO_USAGE_STATS": "1"}
    if settings.weights_from is not None and Path(settings.weights_from).is_absolute():
        environment["HF_HUB_OFFLINE"] = "1"
    if settings.device == "cpu":
        # One core a replica, as planned; with more threads than that steps take many times longer.
        environment |= {
            "OMP_NUM_THREADS": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        }
    return environment | settings.served_by.env


def command_line(arguments: dict[str, Any]) -> list[str]:
    """The same arguments as words for vLLM's own parser, which knows the type of each."""
    words: list[str] = []
    for name, value in arguments.items():
        option = name.replace("_", "-")
        match value:
            case True:
                words.append(f"--{option}")
            case False:
                words.append(f"--no-{option}")
            case list():
                words += [f"--{option}", *map(_word, value)]
            case _:
                words.append(f"--{option}={_word(value)}")
    return words


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
