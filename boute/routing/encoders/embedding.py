"""Sentence embeddings on a CPU, from a model that a user has on disk; needs `tokenizers`.

Two forms, told apart by what `model.safetensors` holds. Static: a vector a token, averaged
(`embeddings`, as model2vec writes it). Transformer: the BERT of sentence-transformers models such
as all-MiniLM-L6-v2 (Devlin et al., arXiv 1810.04805), whose last states are averaged. The
arithmetic is numpy's, so that neither loading nor using a model runs code that came with it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.errors import DataError, InputError
from boute.files import read_bytes
from boute.routing.encoders.bert import bert_states
from boute.routing.encoders.safetensors import read_tensors
from boute.workload.arrays import Floats

__all__ = ["MODEL", "TOKENIZER", "EmbeddingModel", "load_embedding_model"]

MODEL: Final = "model.safetensors"
TOKENIZER: Final = "tokenizer.json"
# As sentence-transformers cuts for all-MiniLM-L6-v2; a longer query is judged by its beginning.
MOST_TOKENS: Final = 256
MOST_CHARACTERS: Final = 8 * MOST_TOKENS
MOST_BYTES: Final = 2**30
_EPSILON: Final = 1e-12

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class EmbeddingModel:
    """Embeds texts. `tokenizer` and `weights` are the two files, kept so that they can be saved.

    `heads` are the attention heads of a transformer.
    """

    tokenizer: bytes
    weights: bytes
    heads: int = 1
    where: str = "the embedding model"

    def __post_init__(self) -> None:
        table = self._table
        if table.ndim != 2 or not table.size:
            raise DataError(
                "has neither static embeddings nor those of a BERT",
                where=f"{self.where}/{MODEL}",
                mend="use a model2vec model, or a sentence-transformers one made from BERT",
            )
        if not all(np.isfinite(tensor).all() for tensor in self._tensors.values()):
            raise DataError("holds numbers that are not finite", where=f"{self.where}/{MODEL}")
        if self._tokenizer.get_vocab_size() > len(table):
            raise DataError("knows more tokens than the model", where=f"{self.where}/{TOKENIZER}")
        self.embed(["a query"])  # a tensor that is missing shows here

    @property
    def width(self) -> int:
        """Numbers of an embedding."""
        return int(self._table.shape[1])

    @property
    def is_static(self) -> bool:
        """Whether a text's embedding is the mean of fixed vectors of its tokens."""
        return "embeddings" in self._tensors

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors [N, width] of N texts; zero for a text without tokens."""
        rows = np.zeros((len(texts), self.width))
        for index, text in enumerate(texts):
            ids = self._token_ids(text)
            if len(ids):
                vector = self._vectors(ids).mean(axis=0)
                rows[index] = vector / max(float(np.linalg.norm(vector)), _EPSILON)
        return rows

    def _token_ids(self, text: str) -> NDArray[np.int64]:
        clean = text[:MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        encoded = self._tokenizer.encode(clean, add_special_tokens=not self.is_static)
        ids, most = encoded.ids, self._most_tokens
        if len(ids) > most:
            ids = [*ids[: most - 1], ids[-1]]
        return np.array(ids, dtype=np.int64)

    def _vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.is_static:
            return self._tensors["embeddings"][ids]
        try:
            return bert_states(ids, self._tensors, self.heads)
        except (KeyError, ValueError, IndexError):
            raise DataError(
                "is not a whole BERT", where=f"{self.where}/{MODEL}", mend="copy the model again"
            ) from None

    @functools.cached_property
    def _table(self) -> NDArray[np.float32]:
        """The vectors of the tokens [V, width]; empty where there are none."""
        name = "embeddings" if self.is_static else "embeddings.word_embeddings.weight"
        return self._tensors.get(name, np.zeros((0, 0), dtype=np.float32))

    @functools.cached_property
    def _most_tokens(self) -> int:
        """MOST_TOKENS, or as many as a transformer has positions for."""
        positions = self._tensors.get("embeddings.position_embeddings.weight")
        return MOST_TOKENS if positions is None else min(MOST_TOKENS, max(len(positions), 1))

    @functools.cached_property
    def _tensors(self) -> Tensors:
        found = read_tensors(self.weights, f"{self.where}/{MODEL}")
        return {name.removeprefix("bert."): tensor for name, tensor in found.items()}

    @functools.cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise InputError(
                "embeddings need the package tokenizers", mend="pip install 'boute[embeddings]'"
            ) from None
        try:
            tokenizer = Tokenizer.from_str(self.tokenizer.decode("utf-8"))
        except Exception:  # the library raises plain Exception
            raise DataError(
                "is not a tokenizer", where=f"{self.where}/{TOKENIZER}", mend="copy the model again"
            ) from None
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer


def load_embedding_model(folder: Path) -> EmbeddingModel:
    """Read a folder with model.safetensors and tokenizer.json; raise DataError or InputError."""
    for name in (MODEL, TOKENIZER):
        path = folder / name
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise DataError("is larger than 1 GiB", where=str(path), mend="use a smaller model")
    tokenizer, weights = (read_bytes(folder / name, error=DataError) for name in (TOKENIZER, MODEL))
    return EmbeddingModel(tokenizer, weights, _attention_heads(folder), str(folder))


def _attention_heads(folder: Path) -> int:
    """Attention heads as config.json has them; 1 where there is none, as with static models."""
    path = folder / "config.json"
    if not path.is_file():
        return 1
    try:
        heads = int(json.loads(read_bytes(path, error=DataError)).get("num_attention_heads", 1))
    except (ValueError, TypeError, AttributeError, RecursionError):
        heads = 0
    if heads < 1:
        raise DataError("tells no number of attention heads", where=str(path))
    return heads
