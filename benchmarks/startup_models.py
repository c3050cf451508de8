"""Models to start: ten shapes of three families, random weights, a tokenizer of their own.

Hugging Face folders that differ in what a start-up depends on: layers, width, vocabulary, the size
of `tokenizer.json`, the bytes of the weights. Nothing is trained or downloaded.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["SHAPES", "Shape", "make_model"]

HEAD_DIM = 64
CONTEXT = 1024
SPECIAL = ("<s>", "</s>", "<unk>")
# The names that byte-level tokenizers give to bytes: of the printable ones only space differs.
LETTERS = ("Ġ", "Ċ", *map(chr, range(33, 127)))


@dataclass(frozen=True)
class Shape:
    """One model: its family, and what its start-up depends on."""

    family: Literal["llama", "qwen2", "gpt2"]
    layers: int
    hidden: int
    vocabulary: int

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.family}-{self.layers}x{self.hidden}-{self.vocabulary // 1000}k"


SHAPES = (
    Shape("llama", 2, 256, 1_000),
    Shape("llama", 4, 512, 32_000),
    Shape("llama", 8, 256, 4_000),
    Shape("llama", 12, 384, 16_000),
    Shape("llama", 6, 1024, 64_000),
    Shape("llama", 3, 2048, 128_000),
    Shape("qwen2", 4, 256, 2_000),
    Shape("qwen2", 10, 512, 32_000),
    Shape("gpt2", 4, 512, 8_000),
    Shape("gpt2", 9, 768, 48_000),
)


def make_model(shape: Shape, folder: Path) -> None:
    """Write the model's folder unless it is there whole."""
    done = folder / "made"
    if done.exists():
        return
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    _tokenizer(shape.vocabulary).save_pretrained(folder)
    model = AutoModelForCausalLM.from_config(_config(shape), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    done.touch()


def parameters_of(folder: Path) -> int:
    """Weights of a model that was made, from the headers of its files."""
    return sum(
        int(_product(tensor["shape"]))
        for file in folder.glob("*.safetensors")
        for name, tensor in _header(file).items()
        if name != "__metadata__"
    )


def _product(shape: list[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _header(file: Path) -> dict[str, Any]:
    with file.open("rb") as data:
        return dict(json.loads(data.read(int.from_bytes(data.read(8), "little"))))


def _config(shape: Shape) -> Any:
    from transformers import GPT2Config, LlamaConfig, Qwen2Config

    heads = shape.hidden // HEAD_DIM
    ends = {"bos_token_id": 0, "eos_token_id": 1}
    if shape.family == "gpt2":
        return GPT2Config(
            vocab_size=shape.vocabulary,
            n_embd=shape.hidden,
            n_layer=shape.layers,
            n_head=heads,
            n_positions=CONTEXT,
            **ends,
        )
    kind = LlamaConfig if shape.family == "llama" else Qwen2Config
    return kind(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.hidden * 11 // 4 // HEAD_DIM * HEAD_DIM,
        num_hidden_layers=shape.layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        **ends,
    )


def _tokenizer(size: int) -> Any:
    """A byte-level BPE of `size` tokens whose merges are drawn at random."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens, merges = [*SPECIAL, *LETTERS], []
    for left, right in _merges(size - len(tokens)):
        tokens.append(left + right)
        merges.append((left, right))
    model = tokenizers.models.BPE(
        vocab={token: place for place, token in enumerate(tokens)}, merges=merges, unk_token="<unk>"
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def _merges(count: int) -> Iterator[tuple[str, str]]:
    """Pairs of tokens that are there, in an order in which each makes a new one."""
    generator = random.Random(0)
    parts = list(LETTERS)
    known = set(parts)
    while count > 0:
        left, right = generator.choice(parts), generator.choice(parts)
        token = left + right
        if token in known or len(token) > 8:
            continue
        known.add(token)
        parts.append(token)
        count -= 1
        yield left, right
