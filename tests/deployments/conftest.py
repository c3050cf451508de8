"""A model small enough to be made on the spot, and settings for engines that run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boute.deployments.engines.settings import EngineSettings, Pace
from boute.deployments.record import RequestRecord
from boute.performance import step
from boute.spec.family import ServedBy
from boute.spec.model import Engine

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "assistant: "
)
CONTEXT = 512


@pytest.fixture(scope="session")
def record() -> RequestRecord:
    """A streamed request that was answered in full: TTFT 0.5 s, then 4 tokens in 2 s."""
    return RequestRecord(
        request_id="r",
        arrival_unix_s=1_760_000_000.123456,
        model="small",
        pool="small-l4",
        plan="plan-01",
        score=0.5,
        asked_model="boute",
        status=200,
        ttft_s=0.5,
        e2e_s=2.5,
        input_tokens=10,
        output_tokens=5,
        stream=True,
        attempts=1,
        outcome="ok",
        prompt="a secret\u2028question",
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 0.1M random parameters over printable ASCII, as a Hugging Face folder."""
    tokenizers = pytest.importorskip("tokenizers")
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-model")
    # The names that byte-level tokenizers give to bytes: only space and newline have other ones.
    letters = ["Ġ", "Ċ", *map(chr, range(33, 127))]
    special = ["<s>", "</s>", "<unk>"]
    vocabulary = {token: place for place, token in enumerate(special + letters)}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pace_of() -> Callable[..., Pace]:
    """Steps of 5 ms and a little more for each sequence, with parts replaced."""

    def make(*, step_s: float = 0.005, **changes: Any) -> Pace:
        costs = np.zeros(step.N_COSTS)
        costs[step.FLOOR_S] = step_s
        costs[step.SEQUENCE_S] = step_s / 1000
        shape = {
            "stages": 1,
            "kv_blocks": 2000,
            "block_size": 16,
            "max_num_seqs": 64,
            "max_num_batched_tokens": 512,
        }
        return Pace(costs=costs.tolist(), **(shape | changes))

    return make


@pytest.fixture(scope="session")
def settings_of(pace_of: Callable[..., Pace]) -> Callable[..., EngineSettings]:
    """Settings of one CPU engine for the model `tiny`, with parts replaced."""

    def make(engine: Any = "simulated", **changes: Any) -> EngineSettings:
        defaults: dict[str, Any] = {
            "pool": "tiny-cpu",
            "model": "tiny",
            "served_by": ServedBy(
                engine=engine, base_url="http://127.0.0.1:1/v1" if engine == "openai" else None
            ),
            "vllm": Engine(max_num_seqs=32, max_num_batched_tokens=512, block_size=32),
            "weights_from": None,
            "weights": "bf16",
            "kv_cache": "bf16",
            "device": "cpu",
            "accelerator_type": None,
            "tensor_parallel": 1,
            "pipeline_parallel": 1,
            "max_model_len": CONTEXT,
            "pace": pace_of() if engine == "simulated" else None,
        }
        return EngineSettings(**(defaults | changes))

    return make
