"""Sentence embeddings on a CPU, from a model that a user has on disk; needs `tokenizers`.

A model is a folder with `tokenizer.json` and a network, which is `model.onnx` or
`model.safetensors`. Neither loading nor using one runs code that came with it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from boute.errors import DataError, InputError
from boute.files import read_bytes
from boute.routing.encoders.network import MOST_TOKENS, Network
from boute.routing.encoders.onnx import ONNX, OnnxNetwork
from boute.routing.encoders.tensors import SAFETENSORS, Tensors
from boute.workload.arrays import Floats

__all__ = ["MOST_BYTES", "NETWORKS", "TOKENIZER", "EmbeddingModel", "load_embedding_model"]

TOKENIZER: Final = "tokenizer.json"
NETWORKS: Final = (ONNX, SAFETENSORS)
"""Files that a network may be in; the first that a folder has is taken."""
MOST_BYTES: Final = 2**30
MOST_CHARACTERS: Final = 8 * MOST_TOKENS
_EPSILON: Final = 1e-12


@dataclass(frozen=True, eq=False)
class EmbeddingModel:
    """Embeds texts: the mean of the vectors of their tokens, scaled to a length of 1.

    `tokenizer` is its file, kept so that it can be saved.
    """

    tokenizer: bytes
    network: Network
    where: str = "the embedding model"

    def __post_init__(self) -> None:
        ids = self._tokenizer.get_vocab().values()
        self.network.check_tokens(max(ids, default=0))
        self.embed(["a query"])

    @classmethod
    def of(cls, files: Mapping[str, bytes], heads: int | None, where: str) -> EmbeddingModel:
        """From the contents of its two files by name; raise DataError or InputError."""
        file = next(name for name in NETWORKS if name in files)
        data, place = files[file], f"{where}/{file}"
        network = OnnxNetwork(data, place) if file == ONNX else Tensors(data, heads or 1, place)
        return cls(files[TOKENIZER], network, where)

    @property
    def files(self) -> dict[str, bytes]:
        """Its two files by name."""
        return {TOKENIZER: self.tokenizer, self.network.file: self.network.data}

    @property
    def width(self) -> int:
        """Numbers of an embedding."""
        return self.network.width

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors [N, width] of N texts; zero for a text without tokens.

        One text at a time: there is nothing to pad or to mask, and a query gets the same alone and
        in a batch.
        """
        rows = np.zeros((len(texts), self.width))
        for index, text in enumerate(texts):
            ids = self._token_ids(text)
            if len(ids):
                vector = self.network.vectors(ids).mean(axis=0)
                rows[index] = vector / max(float(np.linalg.norm(vector)), _EPSILON)
        return rows

    def _token_ids(self, text: str) -> NDArray[np.int64]:
        clean = text[:MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        encoded = self._tokenizer.encode(clean, add_special_tokens=self.network.contextual)
        ids, most = encoded.ids, self.network.most_tokens
        if len(ids) > most:
            ids = [*ids[: most - 1], ids[-1]]
        return np.array(ids, dtype=np.int64)

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
    """Read a folder with tokenizer.json and a network; raise DataError or InputError."""
    network = next((name for name in NETWORKS if (folder / name).is_file()), None)
    if network is None:
        raise DataError(
            f"has neither {ONNX} nor {SAFETENSORS}",
            where=str(folder),
            mend="name the folder of an embedding model",
        )
    for name in (network, TOKENIZER):
        path = folder / name
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise DataError("is larger than 1 GiB", where=str(path), mend="use a smaller model")
    files = {name: read_bytes(folder / name, error=DataError) for name in (TOKENIZER, network)}
    return EmbeddingModel.of(files, _attention_heads(folder), str(folder))


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
