"""The forward pass of BERT for one text, in numpy (Devlin et al., arXiv 1810.04805).

Tensors are named as Hugging Face's transformers name them.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["bert_states"]

_EPSILON: Final = 1e-12
_ERF: Final = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)

Array = NDArray[np.float32]
Tensors = dict[str, Array]


def bert_states(ids: NDArray[np.int64], tensors: Tensors, heads: int) -> Array:
    """The last states [T, width] of one text of T tokens.

    Raise KeyError, ValueError or IndexError where tensors are missing or of other shapes.
    """
    states = (
        tensors["embeddings.word_embeddings.weight"][ids]
        + tensors["embeddings.position_embeddings.weight"][: len(ids)]
        + tensors["embeddings.token_type_embeddings.weight"][0]
    )
    states = _normed(states, "embeddings.LayerNorm", tensors)
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in tensors:
        states = _layer(states, f"encoder.layer.{layer}", tensors, heads)
        layer += 1
    return states


def _layer(states: Array, name: str, tensors: Tensors, heads: int) -> Array:
    mixed = _attention(states, f"{name}.attention.self", tensors, heads)
    mixed = _dense(mixed, f"{name}.attention.output.dense", tensors) + states
    mixed = _normed(mixed, f"{name}.attention.output.LayerNorm", tensors)
    inner = _gelu(_dense(mixed, f"{name}.intermediate.dense", tensors))
    outer = _dense(inner, f"{name}.output.dense", tensors) + mixed
    return _normed(outer, f"{name}.output.LayerNorm", tensors)


def _attention(states: Array, name: str, tensors: Tensors, heads: int) -> Array:
    tokens, width = states.shape
    head = width // heads
    queries, keys, values = (
        _dense(states, f"{name}.{part}", tensors).reshape(tokens, heads, head).transpose(1, 0, 2)
        for part in ("query", "key", "value")
    )
    weights = queries @ keys.transpose(0, 2, 1) / np.float32(math.sqrt(head))
    weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed: Array = (weights @ values).transpose(1, 0, 2).reshape(tokens, width)
    return mixed


def _dense(states: Array, name: str, tensors: Tensors) -> Array:
    found: Array = states @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
    return found


def _normed(states: Array, name: str, tensors: Tensors) -> Array:
    centred = states - states.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
    moved: Array = centred / scale * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
    return moved


def _gelu(inputs: Array) -> Array:
    """x times the normal distribution function, by Abramowitz and Stegun 7.1.26 (error 1.5e-7)."""
    x = np.abs(inputs) / np.float32(math.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * x)
    poly = np.full_like(t, _ERF[0])
    for coefficient in _ERF[1:]:
        poly = poly * t + np.float32(coefficient)
    erf = np.sign(inputs) * (1 - poly * t * np.exp(-x * x))
    return np.asarray(0.5 * inputs * (1 + erf), dtype=np.float32)
