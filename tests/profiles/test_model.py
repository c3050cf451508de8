"""Sizes of model cards: published totals, a slow count of matrices, and impossible shapes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.documents import check_document
from boute.errors import ProfileError
from boute.profiles.catalog import load_model, model_names
from boute.profiles.model import ModelCard

# Billions of parameters as the publishers state them on the model pages and in the papers. For
# Gemma 3 from 4B on, the technical report's table 1 without the vision encoder.
PUBLISHED = {
    "llama-3-8b": 8.03,
    "llama-3-70b": 70.55,
    "llama-3.1-8b": 8.03,
    "llama-3.1-70b": 70.55,
    "llama-3.1-405b": 405.85,
    "llama-3.2-1b": 1.236,
    "llama-3.2-3b": 3.21,
    "llama-3.3-70b": 70.55,
    "qwen2.5-0.5b": 0.494,
    "qwen2.5-1.5b": 1.54,
    "qwen2.5-3b": 3.09,
    "qwen2.5-7b": 7.62,
    "qwen2.5-14b": 14.77,
    "qwen2.5-32b": 32.76,
    "qwen2.5-72b": 72.71,
    "qwen3-0.6b": 0.596,
    "qwen3-1.7b": 1.72,
    "qwen3-4b": 4.02,
    "qwen3-8b": 8.19,
    "qwen3-14b": 14.77,
    "qwen3-32b": 32.76,
    "qwen3-30b-a3b": 30.53,
    "qwen3-235b-a22b": 235.09,
    "mistral-7b": 7.248,
    "mistral-nemo-12b": 12.25,
    "mistral-small-24b": 23.57,
    "mistral-large-123b": 122.61,
    "mixtral-8x7b": 46.7,
    "mixtral-8x22b": 140.6,
    "gemma-2-2b": 2.614,
    "gemma-2-9b": 9.24,
    "gemma-2-27b": 27.23,
    "gemma-3-1b": 1.0,
    "gemma-3-4b": 3.88,
    "gemma-3-12b": 11.77,
    "gemma-3-27b": 27.01,
    "deepseek-v3": 671.0,
}
ACTIVE = {
    "qwen3-30b-a3b": 3.3,
    "qwen3-235b-a22b": 22.0,
    "mixtral-8x7b": 12.9,
    "mixtral-8x22b": 39.1,
    "deepseek-v3": 37.0,
}


def test_the_promised_cards_are_shipped() -> None:
    assert set(PUBLISHED) == set(model_names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_match_the_published_total(name: str) -> None:
    card = load_model(name, Path())
    assert card.parameters / 1e9 == pytest.approx(PUBLISHED[name], rel=0.01)
    assert card.huggingface_id is not None
    assert card.huggingface_id in card.source


@pytest.mark.parametrize("name", ACTIVE)
def test_active_parameters_match_the_published_figure(name: str) -> None:
    card = load_model(name, Path())
    assert card.is_moe
    assert card.active_parameters / 1e9 == pytest.approx(ACTIVE[name], rel=0.02)


def test_llama_8b_to_the_weight() -> None:
    # 8,030,261,248 in the checkpoint's index; 65 norms of 4096 are left out.
    assert load_model("llama-3.1-8b", Path()).parameters == 8_030_261_248 - 65 * 4096


@pytest.mark.parametrize(
    ("name", "kv_bytes"),
    [("llama-3.1-8b", 131_072), ("llama-3.1-70b", 327_680), ("deepseek-v3", 70_272)],
)
def test_kv_cache_of_a_token(name: str, kv_bytes: int) -> None:
    card = load_model(name, Path())
    assert card.kv_bytes_per_token(2) == kv_bytes
    assert card.kv_bytes_per_token(1) == kv_bytes / 2


def matrices(card: ModelCard) -> list[tuple[int, int]]:
    """Every weight matrix of the model as rows and columns: the slow count."""
    hidden, heads = card.hidden_size, card.num_attention_heads
    found = [(card.vocab_size, hidden)] * (1 if card.tie_word_embeddings else 2)
    for layer in range(card.num_hidden_layers):
        for _ in range(heads):
            found += [(hidden, card.head_dim), (card.head_dim, hidden)]
        for _ in range(card.num_key_value_heads):
            found += [(hidden, card.head_dim), (hidden, card.head_dim)]
        if card.num_experts and layer >= card.dense_layers:
            widths = [card.moe_intermediate_size] * card.num_experts
            widths.append(card.shared_expert_intermediate_size)
            found.append((hidden, card.num_experts))
        else:
            widths = [card.intermediate_size]
        for width in widths:
            found += [(hidden, width), (hidden, width), (width, hidden)]
    return found


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    layers, groups = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    kv_heads = draw(st.integers(1, 4))
    shape = {
        "name": "drawn",
        "source": "test",
        "hidden_size": draw(st.integers(1, 64)),
        "num_hidden_layers": layers,
        "num_attention_heads": kv_heads * groups,
        "num_key_value_heads": kv_heads,
        "head_dim": draw(st.integers(1, 16)),
        "intermediate_size": draw(st.integers(1, 99)),
        "vocab_size": draw(st.integers(1, 999)),
        "tie_word_embeddings": draw(st.booleans()),
        "max_position_embeddings": 4096,
    }
    if draw(st.booleans()):
        experts = draw(st.integers(2, 5))
        shape |= {
            "num_experts": experts,
            "num_experts_per_tok": draw(st.integers(1, experts)),
            "moe_intermediate_size": draw(st.integers(1, 50)),
            "shared_expert_intermediate_size": draw(st.integers(0, 50)),
            "dense_layers": draw(st.integers(0, layers)),
        }
    return shape


@given(shapes())
def test_formulas_agree_with_counting_matrices(shape: dict[str, Any]) -> None:
    card = ModelCard(**shape)
    assert card.parameters == sum(rows * columns for rows, columns in matrices(card))
    idle = card.moe_layers * (card.num_experts - card.num_experts_per_tok) * card.expert_parameters
    assert card.active_parameters == card.parameters - idle


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_key_value_heads": 5}, "multiple of num_key_value_heads"),
        ({"num_hidden_layers": -1}, "num_hidden_layers"),
        ({"hidden_size": 4096.5}, "hidden_size"),
        ({"num_experts": 8}, "num_experts_per_tok"),
        ({"num_experts": 8, "num_experts_per_tok": 2}, "needs moe_intermediate_size"),
        ({"moe_intermediate_size": 8}, "need num_experts"),
        ({"dense_layers": 3}, "dense_layers needs num_experts"),
        ({"intermediate_size": 0}, "intermediate_size"),
        ({"kv_lora_rank": 512}, "qk_rope_head_dim"),
        ({"sliding_window": 512}, "go together"),
        ({"sliding_window": 512, "sliding_window_layers": 33}, "should not exceed"),
        ({"name": "../llama"}, "name"),
        ({"layers": 3}, "unknown key layers"),
    ],
)
def test_impossible_cards_are_refused(change: dict[str, Any], message: str) -> None:
    data = {**load_model("llama-3.1-8b", Path()).model_dump(), **change}
    with pytest.raises(ProfileError, match=message):
        check_document(data, ModelCard, where="card.yaml", error=ProfileError)
