"""An embedding model that embeds each text once, however often it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boute.routing.encoders.embedding import EmbeddingModel, load_embedding_model
from boute.workload.arrays import Floats


@dataclass(frozen=True, eq=False)
class Remembered(EmbeddingModel):
    known: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Remembered:
        model = load_embedding_model(folder)
        return cls(model.tokenizer, model.network, model.where)

    def embed(self, texts: Sequence[str]) -> Floats:
        for text in texts:
            if text not in self.known:
                self.known[text] = super().embed([text])[0]
        return np.array([self.known[text] for text in texts]).reshape(len(texts), self.width)
