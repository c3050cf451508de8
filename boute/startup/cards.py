"""What a start depends on, from a model card and how it is to be served."""

from __future__ import annotations

import math
from typing import Annotated, Final

from pydantic import Field

from boute.documents import Document
from boute.performance.memory import weights_bytes
from boute.profiles.model import ModelCard

__all__ = ["TOKENIZER_BYTES", "ModelSizes", "captured_sizes", "sizes_of"]

TOKENIZER_BYTES: Final = 55.0
"""Bytes of tokenizer.json for an entry of the vocabulary: 45 (Qwen) to 68 (Llama 3)."""
LARGEST_CAPTURED: Final = 512

Size = Annotated[float, Field(gt=0)]


class ModelSizes(Document):
    """Sizes of a model on one GPU of a replica and of its tokenizer.json, as in `Features`."""

    weights_bytes: Size
    parameters: Size
    layers: Size
    layer_operations: Size = 10.0
    tokenizer_bytes: Annotated[float, Field(ge=0)]


def sizes_of(card: ModelCard, *, tp: int, pp: int, weights: str) -> ModelSizes:
    """Sizes of one GPU of `tp` x `pp`; that of the tokenizer's file goes by the vocabulary."""
    return ModelSizes(
        weights_bytes=weights_bytes(card, tp, pp, weights),
        parameters=card.parameters / (tp * pp),
        layers=math.ceil(card.num_hidden_layers / pp),
        tokenizer_bytes=card.vocab_size * TOKENIZER_BYTES,
    )


def captured_sizes(max_num_seqs: int) -> int:
    """Batch sizes that vLLM captures by default: 1, 2, 4, by eights to 256, by sixteens beyond.

    Up to twice `max_num_seqs` and not above 512 (vLLM 0.29, `VllmConfig`).
    """
    largest = min(2 * max_num_seqs, LARGEST_CAPTURED)
    sizes = [1, 2, 4, *range(8, 256, 8), *range(256, LARGEST_CAPTURED + 1, 16)]
    return sum(size <= largest for size in sizes)
