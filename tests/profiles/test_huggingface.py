"""config.json files as published become cards, and all others one clear error."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.errors import ProfileError
from boute.profiles.catalog import load_model
from boute.profiles.huggingface import read_config
from boute.profiles.model import ModelCard, model_card_from_config

# The keys that matter of published files, left out where the publisher leaves them out.
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "bos_token_id": 128000,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rope_scaling": {"factor": 8.0, "rope_type": "llama3"},
    "tie_word_embeddings": False,
    "vocab_size": 128256,
}
QWEN = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "max_position_embeddings": 32768,
    "max_window_layers": 28,
    "model_type": "qwen2",
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "sliding_window": 131072,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "vocab_size": 152064,
}
MIXTRAL = {
    "architectures": ["MixtralForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "model_type": "mixtral",
    "num_attention_heads": 32,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}
GEMMA_2 = {
    "architectures": ["Gemma2ForCausalLM"],
    "head_dim": 256,
    "hidden_size": 3584,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "model_type": "gemma2",
    "num_attention_heads": 16,
    "num_hidden_layers": 42,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
    "vocab_size": 256000,
}
GEMMA_3 = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "text_config": {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "sliding_window": 1024,
    },
    "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27},
}
DEEPSEEK = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "first_k_dense_replace": 3,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "model_type": "deepseek_v3",
    "moe_intermediate_size": 2048,
    "moe_layer_freq": 1,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_attention_heads": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "tie_word_embeddings": False,
    "v_head_dim": 128,
    "vocab_size": 129280,
}
LLAMA_4 = {  # Maverick: experts in every second layer, chunked attention in three of four
    "architectures": ["Llama4ForConditionalGeneration"],
    "model_type": "llama4",
    "text_config": {
        "attention_chunk_size": 8192,
        "head_dim": 128,
        "hidden_size": 5120,
        "interleave_moe_layer_step": 2,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16384,
        "layer_types": [*["chunked_attention"] * 3, "full_attention"] * 12,
        "max_position_embeddings": 1048576,
        "model_type": "llama4_text",
        "num_attention_heads": 40,
        "num_experts_per_tok": 1,
        "num_hidden_layers": 48,
        "num_key_value_heads": 8,
        "num_local_experts": 128,
        "vocab_size": 202048,
    },
}


def card_of(config: dict[str, Any]) -> ModelCard:
    return model_card_from_config(config, name="given", where="config.json")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (LLAMA, "llama-3.1-8b"),
        (QWEN, "qwen2.5-7b"),
        (MIXTRAL, "mixtral-8x7b"),
        (GEMMA_2, "gemma-2-9b"),
        (GEMMA_3, "gemma-3-4b"),
        (DEEPSEEK, "deepseek-v3"),
    ],
)
def test_a_published_config_gives_the_shipped_card(config: dict[str, Any], name: str) -> None:
    other = {"name", "huggingface_id", "source"}
    shipped = load_model(name, Path())
    assert card_of(config).model_dump(exclude=other) == shipped.model_dump(exclude=other)


def test_llama_4_maverick() -> None:
    card = card_of(LLAMA_4)
    # 400B with a vision encoder of 0.9B, 17B active; tables apart, as Meta counts them.
    assert card.parameters / 1e9 == pytest.approx(400, rel=0.01)
    assert card.active_parameters / 1e9 == pytest.approx(17, rel=0.02)
    assert (card.dense_layers, card.sliding_window, card.sliding_window_layers) == (24, 8192, 36)


@pytest.mark.parametrize(
    ("change", "windowed"),
    [
        ({"use_sliding_window": True, "max_window_layers": 20}, 8),
        ({"use_sliding_window": True, "max_window_layers": 28}, 0),
        ({"sliding_window": None, "use_sliding_window": True}, 0),
        ({"layer_types": ["full_attention", "sliding_attention"] * 14}, 14),
        ({"sliding_window_pattern": 4, "use_sliding_window": True}, 21),
    ],
)
def test_windowed_layers(change: dict[str, Any], windowed: int) -> None:
    card = card_of({**QWEN, **change})
    assert card.sliding_window_layers == windowed
    assert (card.sliding_window is None) == (windowed == 0)


def test_layers_without_experts_may_be_named() -> None:
    config = {**MIXTRAL, "mlp_only_layers": [0, 5], "decoder_sparse_step": 2}
    # Experts in layers 1, 3, 5, ... less layer 5; layer 0 is dense anyway.
    assert card_of(config).dense_layers == 17


def test_the_id_may_be_in_the_file() -> None:
    assert card_of({**LLAMA, "_name_or_path": "org/model"}).huggingface_id == "org/model"
    assert card_of({**LLAMA, "_name_or_path": "/data/some/model"}).huggingface_id is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"vocab_size": -5}, "vocab_size should be a whole number of at least 1"),
        ({"num_hidden_layers": 32.0}, "num_hidden_layers should be a whole number"),
        ({"num_attention_heads": True}, "num_attention_heads should be a whole number"),
        ({"num_key_value_heads": 5}, "multiple of num_key_value_heads"),
        ({"num_attention_heads": 24}, "hidden_size .4096. should be a multiple"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings should be true or false"),
        ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM does not generate text"),
        ({"architectures": "Llama"}, "architectures should be a list"),
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "falcon"}, "model_type falcon is not supported"),
        ({"layer_types": ["linear_attention"]}, "linear_attention, which is not supported"),
        ({"layer_types": ["full_attention"] * 31}, "layer_types should name 32 layers"),
        ({"num_experts": 8}, "num_experts_per_tok is missing"),
        ({"num_experts": 8, "num_experts_per_tok": 9}, "between 1 and num_experts"),
        ({"kv_lora_rank": 512}, "qk_rope_head_dim is missing"),
    ],
)
def test_unusable_configs_are_one_clear_error(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message) as caught:
        card_of({**LLAMA, **change})
    assert caught.value.where == "config.json"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"hidden_size": 40', r"config\.json:1:\d+: is not JSON"),
        ("[1, 2]", "should be a JSON object"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not a model's config"),
    ],
)
def test_files_that_are_not_configs(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ProfileError, match=message):
        read_config(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        read_config(tmp_path / "config.json")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    base=st.sampled_from([LLAMA, QWEN, MIXTRAL, GEMMA_2, GEMMA_3, DEEPSEEK, LLAMA_4]),
    data=st.data(),
)
def test_any_change_gives_a_card_or_a_profile_error(base: dict[str, Any], data: st.DataObject):
    config = json.loads(json.dumps(base))
    part = config.get("text_config", config)
    for key in data.draw(st.lists(st.sampled_from(sorted(part)), max_size=3, unique=True)):
        part[key] = data.draw(ANYTHING)
    try:
        card = card_of(config)
    except ProfileError:
        return
    assert 0 < card.active_parameters <= card.parameters
