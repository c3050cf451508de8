"""What a model card says, and the sizes that follow from it: parameters and KV cache.

The fields are those of a Hugging Face `config.json`, by the same names; `huggingface.py` reads
them. Nothing here knows of a GPU: memory and step time are the performance model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from boute.documents import Document, check_document
from boute.errors import ProfileError
from boute.profiles.gpu import CardName
from boute.profiles.huggingface import card_fields

__all__ = ["ModelCard", "model_card_from_config"]

Count = Annotated[int, Field(ge=1, le=10_000_000)]
SizeOrZero = Annotated[int, Field(ge=0, le=10_000_000)]

# Gate, up and down projections: every family read here has a gated MLP.
MLP_MATRICES = 3


class ModelCard(Document):
    """One model: the shape of a decoder-only transformer with gated MLPs.

    A mixture of experts has `num_experts` > 0, with `moe_intermediate_size` for one routed expert
    and `shared_expert_intermediate_size` for all shared experts together; `dense_layers` layers
    have an MLP of `intermediate_size` instead. Multi-head latent attention (DeepSeek) has
    `kv_lora_rank` > 0. `sliding_window_layers` layers attend to the last `sliding_window` tokens.

    Parameter counts leave out norms and biases (under 0.1%), and a multimodal model's vision tower.
    """

    name: CardName
    huggingface_id: str | None = None
    hidden_size: Count
    num_hidden_layers: Annotated[int, Field(ge=1, le=10_000)]
    num_attention_heads: Count
    num_key_value_heads: Count
    head_dim: Count
    intermediate_size: SizeOrZero
    vocab_size: Count
    tie_word_embeddings: bool
    max_position_embeddings: Annotated[int, Field(ge=1)]
    num_experts: SizeOrZero = 0
    num_experts_per_tok: SizeOrZero = 0
    moe_intermediate_size: SizeOrZero = 0
    shared_expert_intermediate_size: SizeOrZero = 0
    dense_layers: SizeOrZero = 0
    sliding_window: Count | None = None
    sliding_window_layers: SizeOrZero = 0
    kv_lora_rank: SizeOrZero = 0
    q_lora_rank: SizeOrZero = 0
    qk_rope_head_dim: SizeOrZero = 0
    qk_nope_head_dim: SizeOrZero = 0
    v_head_dim: SizeOrZero = 0
    source: str

    @model_validator(mode="after")
    def _shape_is_possible(self) -> ModelCard:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads ({self.num_attention_heads}) should be a multiple of "
                f"num_key_value_heads ({self.num_key_value_heads})"
            )
        self._check_experts()
        if self.kv_lora_rank and not (
            self.qk_rope_head_dim and self.qk_nope_head_dim and self.v_head_dim
        ):
            raise ValueError("kv_lora_rank needs qk_rope_head_dim, qk_nope_head_dim and v_head_dim")
        if self.sliding_window_layers > self.num_hidden_layers:
            raise ValueError("sliding_window_layers should not exceed num_hidden_layers")
        if (self.sliding_window is None) != (self.sliding_window_layers == 0):
            raise ValueError("sliding_window and sliding_window_layers go together")
        return self

    def _check_experts(self) -> None:
        if self.num_experts == 0:
            if self.num_experts_per_tok or self.moe_intermediate_size:
                raise ValueError("num_experts_per_tok and moe_intermediate_size need num_experts")
            if self.dense_layers:
                raise ValueError("dense_layers needs num_experts; a dense model leaves it at 0")
        elif not 1 <= self.num_experts_per_tok <= self.num_experts:
            raise ValueError("num_experts_per_tok should be between 1 and num_experts")
        elif self.moe_intermediate_size == 0:
            raise ValueError("num_experts needs moe_intermediate_size")
        elif self.dense_layers > self.num_hidden_layers:
            raise ValueError("dense_layers should not exceed num_hidden_layers")
        if self.dense_mlp_layers and self.intermediate_size == 0:
            raise ValueError("intermediate_size should be at least 1 in a model with dense layers")

    @property
    def is_moe(self) -> bool:
        """Whether some layers choose among experts."""
        return self.num_experts > 0

    @property
    def moe_layers(self) -> int:
        """Layers that choose among experts."""
        return self.num_hidden_layers - self.dense_layers if self.is_moe else 0

    @property
    def dense_mlp_layers(self) -> int:
        """Layers with one ordinary MLP."""
        return self.num_hidden_layers - self.moe_layers

    @property
    def embedding_parameters(self) -> int:
        """Input table and output head; one matrix when they are tied."""
        return (1 if self.tie_word_embeddings else 2) * self.vocab_size * self.hidden_size

    @property
    def attention_parameters(self) -> int:
        """Projections of attention, all layers together."""
        per_layer = self._mla_parameters() if self.kv_lora_rank else self._gqa_parameters()
        return self.num_hidden_layers * per_layer

    @property
    def expert_parameters(self) -> int:
        """One routed expert of one layer; 0 in a dense model."""
        return MLP_MATRICES * self.hidden_size * self.moe_intermediate_size

    @property
    def routed_parameters(self) -> int:
        """All routed experts of all layers."""
        return self.moe_layers * self.num_experts * self.expert_parameters

    @property
    def layer_parameters(self) -> int:
        """All layers without embeddings and without routed experts: what each token passes."""
        dense = self.dense_mlp_layers * MLP_MATRICES * self.hidden_size * self.intermediate_size
        shared = MLP_MATRICES * self.hidden_size * self.shared_expert_intermediate_size
        router = self.hidden_size * self.num_experts
        return self.attention_parameters + dense + self.moe_layers * (shared + router)

    @property
    def parameters(self) -> int:
        """Total number of weights."""
        return self.embedding_parameters + self.layer_parameters + self.routed_parameters

    @property
    def active_parameters(self) -> int:
        """Weights that one token uses, embeddings included as publishers count them."""
        chosen = self.moe_layers * self.num_experts_per_tok * self.expert_parameters
        return self.embedding_parameters + self.layer_parameters + chosen

    def kv_bytes_per_token(self, bytes_per_element: float) -> float:
        """KV cache of one token in all layers, in bytes.

        Keys and values of each KV head; with latent attention one compressed vector and one
        rotary key for all heads (DeepSeek-V2, arXiv:2405.04434, section 2.1.4).
        """
        if self.kv_lora_rank:
            elements = self.kv_lora_rank + self.qk_rope_head_dim
        else:
            elements = 2 * self.num_key_value_heads * self.head_dim
        return self.num_hidden_layers * elements * bytes_per_element

    def _gqa_parameters(self) -> int:
        queries = self.num_attention_heads * self.head_dim
        keys = self.num_key_value_heads * self.head_dim
        return self.hidden_size * (2 * queries + 2 * keys)

    def _mla_parameters(self) -> int:
        """Projections of latent attention in one layer (DeepSeek-V2, appendix C)."""
        heads = self.num_attention_heads
        query_width = heads * (self.qk_nope_head_dim + self.qk_rope_head_dim)
        if self.q_lora_rank:
            query = self.q_lora_rank * (self.hidden_size + query_width)
        else:
            query = self.hidden_size * query_width
        down = self.hidden_size * (self.kv_lora_rank + self.qk_rope_head_dim)
        up = self.kv_lora_rank * heads * (self.qk_nope_head_dim + self.v_head_dim)
        return query + down + up + heads * self.v_head_dim * self.hidden_size


def model_card_from_config(
    config: Mapping[str, object], *, name: str, where: str, huggingface_id: str | None = None
) -> ModelCard:
    """Build a card from a parsed `config.json`; raise ProfileError, with `where` as the place.

    `where` should name the file; it is kept in the card as its source.
    """
    fields = card_fields(config, where=where)
    given_id = config.get("_name_or_path")
    if huggingface_id is None and isinstance(given_id, str) and given_id.count("/") == 1:
        huggingface_id = given_id
    data = {"name": name, "huggingface_id": huggingface_id, **fields, "source": where}
    return check_document(data, ModelCard, where=where, error=ProfileError)
