"""Why a text has its score: what the score would be without each part of it.

The same for every kind of router, which is asked about the text without a word, and about the text
with one figure of its shape as it is in the mean of the training table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from boute.routing.encoders.encoder import Encoded
from boute.routing.router import Router

__all__ = ["Reason", "reasons"]

# Asking about one word is one scoring: what comes later in a long text is left out.
MOST_WORDS: Final = 200
_WORD: Final = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True)
class Reason:
    """A part of a text, and by how much it raises the score."""

    what: str
    effect: float


def reasons(router: Router, text: str, top: int) -> list[Reason]:
    """The `top` parts that move the score most, strongest first; equal effects by name."""
    whole = router.encoder.encode([text])
    score = float(router.score_encoded(whole)[0])
    found = [*_of_words(router, text, whole, score), *_of_shape(router, whole, score)]
    found = [reason for reason in found if reason.effect != 0.0]
    return sorted(found, key=lambda reason: (-abs(reason.effect), reason.what))[:top]


def _of_words(router: Router, text: str, whole: Encoded, score: float) -> list[Reason]:
    """Each word against the text without it, its shape kept as it is."""
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(text)))[:MOST_WORDS]
    if not words:
        return []
    left = [re.sub(rf"(?i)(?<![^\W_]){re.escape(word)}(?![^\W_])", " ", text) for word in words]
    encoded = router.encoder.encode(left)
    figures = len(router.feature_names)
    encoded.dense[:, :figures] = whole.dense[0, :figures]
    without = router.score_encoded(encoded)
    return [
        Reason(f"the word {word!r}", score - float(other))
        for word, other in zip(words, without, strict=True)
    ]


def _of_shape(router: Router, whole: Encoded, score: float) -> list[Reason]:
    """Each figure of the shape against its mean."""
    found = []
    for column, name in enumerate(router.feature_names):
        dense = whole.dense.copy()
        dense[0, column] = 0.0
        other = float(router.score_encoded(replace(whole, dense=dense))[0])
        found.append(Reason(f"the text's {name.replace('_', ' ')}", score - other))
    return found
