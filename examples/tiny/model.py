"""The shape of the tiny models and their files: a tokenizer of characters, growth, saving.

A folder that `save` writes is an ordinary Hugging Face one, which transformers and vLLM load, with
a model card of boute beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import torch
from task import ALPHABET
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from boute.documents import dump_yaml
from boute.files import write_text
from boute.profiles.model import model_card_from_config

__all__ = [
    "END",
    "PAD",
    "START",
    "grow",
    "ids_of",
    "new_model",
    "prompt_ids",
    "save",
]

PAD, START, ANSWER, END, UNKNOWN = range(5)
SPECIAL: Final = ("<pad>", "<s>", "<answer>", "</s>", "<unk>")
VOCABULARY: Final = {text: number for number, text in enumerate((*SPECIAL, *ALPHABET))}
HIDDEN_SIZE: Final = 128
HEAD_DIM: Final = 32
CONTEXT_TOKENS: Final = 256
CHAT_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{% if message.role == 'user' %}<s>{{ message.content }}<answer>"
    "{% elif message.role == 'assistant' %}{{ message.content }}</s>{% endif %}"
    "{% endfor %}"
)


def ids_of(text: str) -> list[int]:
    """A token a character."""
    return [VOCABULARY[character] for character in text]


def prompt_ids(query: str) -> list[int]:
    """What the chat template and the tokenizer make of one message of a user."""
    return [START, *ids_of(query), ANSWER]


def tokenizer() -> PreTrainedTokenizerFast:
    """A token a character; every character that the task does not have is `<unk>`."""
    characters = Tokenizer(WordLevel(VOCABULARY, unk_token=SPECIAL[UNKNOWN]))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    characters.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=characters,
        pad_token=SPECIAL[PAD],
        bos_token=SPECIAL[START],
        eos_token=SPECIAL[END],
        unk_token=SPECIAL[UNKNOWN],
        additional_special_tokens=[SPECIAL[ANSWER]],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT_TOKENS,
    )


def new_model(layers: int) -> LlamaForCausalLM:
    """A Llama of `layers` layers with random weights from torch's global generator."""
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=HIDDEN_SIZE,
        intermediate_size=2 * HIDDEN_SIZE,
        num_hidden_layers=layers,
        num_attention_heads=HIDDEN_SIZE // HEAD_DIM,
        num_key_value_heads=HIDDEN_SIZE // HEAD_DIM,
        head_dim=HEAD_DIM,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
    )
    return LlamaForCausalLM(config)


def grow(model: LlamaForCausalLM, layers: int) -> LlamaForCausalLM:
    """A deeper model that computes what `model` does: its layers, and new ones that add nothing.

    A new layer is a copy of the one before it whose two output projections are zero (Net2Net,
    arXiv:1511.05641; zero outputs as in LLaMA Pro, arXiv:2401.02415).
    """
    deeper = new_model(layers)
    deeper.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
    deeper.model.norm.load_state_dict(model.model.norm.state_dict())
    before = -1
    for number, layer in enumerate(deeper.model.layers):
        source = number * len(model.model.layers) // layers
        layer.load_state_dict(model.model.layers[source].state_dict())
        if source == before:
            torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
            torch.nn.init.zeros_(layer.mlp.down_proj.weight)
        before = source
    return deeper


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Write weights in bfloat16, tokenizer and `card.yaml`; the folder's name is the model's."""
    half = LlamaForCausalLM(model.config).bfloat16()
    half.load_state_dict(model.state_dict())
    half.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    card = model_card_from_config(config, name=folder.name, where="config.json")
    data = card.model_dump(exclude_unset=True, exclude_none=True)
    write_text(folder / "card.yaml", dump_yaml(data))
