"""Reads a Hugging Face `config.json` into the fields of a model card.

Covers decoder-only transformers with gated MLPs: dense or mixture of experts, grouped-query or
latent attention, with or without sliding windows, also nested in a `text_config`. Everything else
is refused with one clear error, because a wrong size is worse than none. The names of keys and
their defaults are those of the `transformers` library's configuration classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boute.errors import ProfileError
from boute.files import read_text

__all__ = ["card_fields", "read_config"]

# Families whose MLP has no gate, or whose blocks are not transformers: other formulas.
UNSUPPORTED = {
    "bamba", "bloom", "codegen", "falcon", "falcon_h1", "falcon_mamba", "gpt2", "gpt_bigcode",
    "gpt_neo", "gpt_neox", "gptj", "granitemoehybrid", "jamba", "lfm2", "mamba", "mamba2", "mpt",
    "nemotron", "nemotron_h", "opt", "persimmon", "phi", "qwen3_next", "recurrent_gemma", "rwkv",
    "starcoder2", "zamba", "zamba2",
}  # fmt: skip

# What transformers fills in when a published config.json leaves it out.
FAMILY_DEFAULTS: dict[str, dict[str, Any]] = {
    "gemma": {"tie_word_embeddings": True, "head_dim": 256},
    "gemma2": {"tie_word_embeddings": True, "head_dim": 256, "sliding_window_pattern": 2},
    "gemma3": {"tie_word_embeddings": True, "head_dim": 256, "sliding_window_pattern": 6},
    "gemma3_text": {
        "tie_word_embeddings": True,
        "head_dim": 256,
        "sliding_window_pattern": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 262_208,
        "max_position_embeddings": 131_072,
    },
    "cohere": {"tie_word_embeddings": True},
    "cohere2": {"tie_word_embeddings": True, "sliding_window_pattern": 4},
}

EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
EXPERTS_PER_TOKEN = ("num_experts_per_tok", "experts_per_token")


def read_config(path: Path) -> dict[str, Any]:
    """Parse a `config.json`; raise ProfileError when it is not a JSON object."""
    text = read_text(path, error=ProfileError)
    try:
        config = json.loads(text)
    except json.JSONDecodeError as problem:
        where = f"{path}:{problem.lineno}:{problem.colno}"
        raise ProfileError(
            f"is not JSON: {problem.msg.lower()}", where=where, mend="was it cut short?"
        ) from None
    except (RecursionError, ValueError):
        raise ProfileError(
            "is not a model's config", where=str(path), mend="give a config.json"
        ) from None
    if not isinstance(config, dict):
        raise ProfileError(
            "should be a JSON object", where=str(path), mend="give a model's config.json"
        )
    return config


def card_fields(config: Mapping[str, object], *, where: str) -> dict[str, Any]:
    """Fields of a model card, without name and source; raise ProfileError."""
    text = _Reader(_text_config(config), where)
    _refuse_other_kinds(config, text)
    fields = {**_attention(text), **_mlp(text)}
    return {**fields, **_windows(text, int(fields["num_hidden_layers"]))}


class _Reader:
    """Typed access to a config: each read names the file and the key when it fails."""

    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        family = FAMILY_DEFAULTS.get(str(config.get("model_type")), {})
        given = {key: value for key, value in config.items() if value is not None}
        self.config = {**family, **given}
        self.where = where

    def count(self, *keys: str, default: int | None = None, minimum: int = 1) -> int:
        """First of `keys` that is present, as a whole number of at least `minimum`."""
        key = next((key for key in keys if key in self.config), None)
        if key is None:
            if default is None:
                raise self.error(f"{keys[0]} is missing", "is it a language model's config.json?")
            return default
        value = self.config[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise self.error(
                f"{key} should be a whole number of at least {minimum} (it is {value!r})"
            )
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """A key that is true or false."""
        value = self.config.get(key, default)
        if not isinstance(value, bool):
            raise self.error(f"{key} should be true or false (it is {value!r})")
        return value

    def items(self, key: str) -> list[Any]:
        """A key that holds a list; empty when absent."""
        value = self.config.get(key, [])
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self.error(f"{key} should be a list")
        return list(value)

    def error(self, problem: str, mend: str = "") -> ProfileError:
        return ProfileError(problem, where=self.where, mend=mend)


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part; keys that only the outer level states are kept."""
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        return config
    outer = {key: config[key] for key in ("tie_word_embeddings",) if key in config}
    return {**outer, **inner}


def _refuse_other_kinds(config: Mapping[str, Any], text: _Reader) -> None:
    kind = str(text.config.get("model_type", ""))
    names = [str(name) for name in _Reader(config, text.where).items("architectures")]
    generates = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
    if config.get("is_encoder_decoder") is True:
        raise text.error(f"{kind or 'this'} is an encoder-decoder model", "use a decoder-only one")
    if names and not any(name.endswith(generates) for name in names):
        raise text.error(f"{names[0]} does not generate text", "use a decoder-only model")
    if kind in UNSUPPORTED:
        raise text.error(f"model_type {kind} is not supported", "write the card by hand")


def _attention(text: _Reader) -> dict[str, Any]:
    hidden, heads = text.count("hidden_size"), text.count("num_attention_heads")
    latent = text.count("kv_lora_rank", default=0, minimum=0)
    fields: dict[str, Any] = {
        "hidden_size": hidden,
        "num_hidden_layers": text.count("num_hidden_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": text.count("num_key_value_heads", default=heads),
        "vocab_size": text.count("vocab_size"),
        "tie_word_embeddings": text.flag("tie_word_embeddings", default=False),
        "max_position_embeddings": text.count("max_position_embeddings"),
    }
    if latent:
        fields |= {
            "kv_lora_rank": latent,
            "q_lora_rank": text.count("q_lora_rank", default=0, minimum=0),
            "qk_rope_head_dim": text.count("qk_rope_head_dim"),
            "qk_nope_head_dim": text.count("qk_nope_head_dim"),
            "v_head_dim": text.count("v_head_dim"),
        }
        # What one head of a query spans; some configs put the rotary part alone in head_dim.
        return {**fields, "head_dim": fields["qk_rope_head_dim"] + fields["qk_nope_head_dim"]}
    if "head_dim" not in text.config and hidden % heads:
        raise text.error(
            f"hidden_size ({hidden}) should be a multiple of num_attention_heads ({heads})",
            "or give head_dim",
        )
    return {**fields, "head_dim": text.count("head_dim", default=hidden // heads)}


def _mlp(text: _Reader) -> dict[str, Any]:
    experts = text.count(*EXPERTS, default=0, minimum=0)
    if experts <= 1:
        return {"intermediate_size": text.count("intermediate_size")}
    one = text.count("moe_intermediate_size", "intermediate_size")
    return {
        # Llama 4 calls its dense layers' width intermediate_size_mlp.
        "intermediate_size": text.count("intermediate_size_mlp", "intermediate_size", default=0),
        "num_experts": experts,
        "num_experts_per_tok": text.count(*EXPERTS_PER_TOKEN),
        "moe_intermediate_size": one,
        "shared_expert_intermediate_size": _shared_size(text, one),
        "dense_layers": _dense_layers(text),
    }


def _shared_size(text: _Reader, expert_size: int) -> int:
    if str(text.config.get("model_type", "")).startswith("llama4"):
        return expert_size
    shared = text.count("n_shared_experts", default=0, minimum=0)
    return text.count("shared_expert_intermediate_size", default=shared * expert_size, minimum=0)


def _dense_layers(text: _Reader) -> int:
    """Layers without experts, as DeepSeek, Qwen and Llama 4 mark them."""
    layers = text.count("num_hidden_layers")
    leading = text.count("first_k_dense_replace", default=0, minimum=0)
    step = text.count(
        "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq", default=1
    )
    plain = {int(index) for index in text.items("mlp_only_layers") if isinstance(index, int)}
    if "moe_layer_freq" in text.config:
        sparse = [layer for layer in range(layers) if layer % step == 0]
    else:
        sparse = [layer for layer in range(layers) if (layer + 1) % step == 0]
    return layers - sum(layer >= leading and layer not in plain for layer in sparse)


def _windows(text: _Reader, layers: int) -> dict[str, Any]:
    """Sliding windows: how wide, and in how many of the layers."""
    windowed = _windowed_layers(text, layers)
    if windowed == 0:
        return {}
    width = text.count("sliding_window", "attention_chunk_size")
    return {"sliding_window": width, "sliding_window_layers": windowed}


def _windowed_layers(text: _Reader, layers: int) -> int:
    kinds = [str(kind) for kind in text.items("layer_types")]
    if kinds:
        known = {"full_attention", "sliding_attention", "chunked_attention"}
        if other := sorted(set(kinds) - known):
            raise text.error(f"layer_types has {other[0]}, which is not supported")
        if len(kinds) != layers:
            raise text.error(f"layer_types should name {layers} layers (it names {len(kinds)})")
        return len(kinds) - kinds.count("full_attention")
    if "sliding_window" not in text.config:
        return 0
    if not text.flag("use_sliding_window", default=True):
        return 0
    # Every pattern-th layer sees everything (Gemma 2: 2, Gemma 3: 6, Cohere 2: 4).
    pattern = text.count("sliding_window_pattern", "_sliding_window_pattern", default=0, minimum=0)
    if pattern:
        return layers - layers // pattern
    # Qwen: the first max_window_layers layers see everything, the others are windowed.
    if "use_sliding_window" in text.config:
        return max(0, layers - text.count("max_window_layers", default=0, minimum=0))
    return layers
