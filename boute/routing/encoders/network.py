"""What turns the tokens of a text into vectors: the part of an embedding model that is learnt."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_TOKENS", "Network"]

# As sentence-transformers cuts for all-MiniLM-L6-v2; a longer query is judged by its beginning.
MOST_TOKENS: Final = 256


class Network(Protocol):
    """A network in one file, of which `file` is the name in a folder and `data` the content.

    A text's embedding is the mean of its tokens' vectors; a `contextual` one makes them of the
    whole text at once, which begins and ends with special tokens. `heads` are the attention heads
    that have to be told it.
    """

    @property
    def file(self) -> str: ...  # noqa: D102
    @property
    def data(self) -> bytes: ...  # noqa: D102
    @property
    def contextual(self) -> bool: ...  # noqa: D102
    @property
    def heads(self) -> int | None: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def most_tokens(self) -> int: ...  # noqa: D102

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [T, width] of one text of at most `most_tokens` tokens; raise DataError."""
        ...

    def check_tokens(self, most: int) -> None:
        """Raise DataError unless tokens up to this number can be had."""
        ...
