"""Networks in a safetensors file: vectors of tokens, or a BERT.

Two forms, told apart by the tensors. Static: a vector a token (`embeddings`, as model2vec writes
it). Transformer: the BERT of sentence-transformers models such as all-MiniLM-L6-v2 (Devlin et al.,
arXiv 1810.04805). The arithmetic is numpy's.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from boute.errors import DataError
from boute.routing.encoders.bert import bert_states
from boute.routing.encoders.network import MOST_TOKENS
from boute.routing.encoders.safetensors import read_tensors

__all__ = ["SAFETENSORS", "Tensors"]

SAFETENSORS: Final = "model.safetensors"


@dataclass(frozen=True, eq=False)
class Tensors:
    """A `Network`. `heads` are the attention heads of a transformer."""

    data: bytes
    heads: int
    where: str
    file: ClassVar[str] = SAFETENSORS

    def __post_init__(self) -> None:
        table = self._table
        if table.ndim != 2 or not table.size:
            raise DataError(
                "has neither static embeddings nor those of a BERT",
                where=self.where,
                mend="use a model2vec model, a sentence-transformers one made from BERT, or ONNX",
            )
        if not all(np.isfinite(tensor).all() for tensor in self._tensors.values()):
            raise DataError("holds numbers that are not finite", where=self.where)

    @property
    def contextual(self) -> bool:
        """Whether it is a transformer."""
        return "embeddings" not in self._tensors

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self._table.shape[1])

    @functools.cached_property
    def most_tokens(self) -> int:
        """MOST_TOKENS, or as many as a transformer has positions for."""
        positions = self._tensors.get("embeddings.position_embeddings.weight")
        return MOST_TOKENS if positions is None else min(MOST_TOKENS, max(len(positions), 1))

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [T, width] of one text; raise DataError where a tensor is missing."""
        if not self.contextual:
            return self._table[ids]
        try:
            return bert_states(ids, self._tensors, self.heads)
        except (KeyError, ValueError, IndexError):
            raise DataError(
                "is not a whole BERT", where=self.where, mend="copy the model again"
            ) from None

    def check_tokens(self, most: int) -> None:
        """Raise DataError unless there are vectors of tokens up to this one."""
        if most >= len(self._table):
            raise DataError("knows fewer tokens than the tokenizer", where=self.where)
        self.vectors(np.array([most]))  # a tensor that is missing shows here

    @functools.cached_property
    def _table(self) -> NDArray[np.float32]:
        """The vectors of the tokens [V, width]; empty where there are none."""
        name = "embeddings.word_embeddings.weight" if self.contextual else "embeddings"
        return self._tensors.get(name, np.zeros((0, 0), dtype=np.float32))

    @functools.cached_property
    def _tensors(self) -> dict[str, NDArray[np.float32]]:
        found = read_tensors(self.data, self.where)
        return {name.removeprefix("bert."): tensor for name, tensor in found.items()}
