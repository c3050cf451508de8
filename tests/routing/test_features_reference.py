"""The features of a text, written plainly, against the fast ones: router files depend on them."""

from __future__ import annotations

import itertools
import re
import string

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.features import MAX_CHARACTERS, encode_text

WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
BASE, MIX, PAIR = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F
CONTROL_WORDS = {"if", "else", "for", "while", "return", "each", "every", "per"}
# Letters that change their length or become ASCII in lower case, digits that are not decimal, and
# spaces that are not ASCII's.
STRANGE = "éÉß²³٣½\ud800中文ǅＡ１\x85\xa0İıſ\u212a≤√πΩ\U0001d7d8\U0001f600\x1c"

texts = st.text() | st.text(alphabet=string.printable + STRANGE) | st.text(alphabet=STRANGE)


def mixed(value: int) -> int:
    value = (value ^ (value >> 32)) * MIX % 2**64
    return (value ^ (value >> 29)) * MIX % 2**64


def plain_hash(word: str) -> int:
    return mixed(sum((ord(c) + 1) * BASE**place for place, c in enumerate(word)) % 2**64)


def plain_ngrams(text: str) -> dict[int, float]:
    alone = [plain_hash(word) for word in WORDS.findall(text[:MAX_CHARACTERS].lower())]
    pairs = [mixed((a * PAIR + b) % 2**64) for a, b in itertools.pairwise(alone)]
    counts: dict[int, int] = {}
    for value in alone + pairs:
        counts[value >> 51] = counts.get(value >> 51, 0) + 1
    weights = {bucket: float(np.log1p(count)) for bucket, count in sorted(counts.items())}
    length = max(float(np.linalg.norm(list(weights.values()))), 1.0)
    return {bucket: weight / length for bucket, weight in weights.items()}


def plain_shape(text: str) -> list[float]:
    head = text[:MAX_CHARACTERS]
    words = WORDS.findall(head.lower())
    characters = max(len(head), 1)
    return [
        float(np.log1p(len(text))),
        float(np.log1p(len(words))),
        sum(c.isdigit() for c in head) / characters,
        sum(c.isupper() for c in head) / characters,
        sum(not c.isascii() for c in head) / characters,
        sum(c in "{}[]()<>;_`#\\" for c in head) / characters,
        sum(c in "+-*/^%=$≤≥√∑∫π" for c in head) / characters,
        head.count("\n") / characters,
        float(np.log1p(sum(word[0].isdecimal() for word in words))),
        float(np.log1p(sum(word in CONTROL_WORDS for word in words))),
        float(min(head.count("?"), 5)),
        len(set(words)) / max(len(words), 1),
        sum(map(len, words)) / max(len(words), 1),
    ]


@given(texts)
def test_the_fast_features_are_the_plain_ones(text: str) -> None:
    (buckets, weights), shape = encode_text(text)
    assert dict(zip(buckets.tolist(), weights.tolist(), strict=True)) == plain_ngrams(text)
    assert shape.tolist() == plain_shape(text)


def test_long_texts_are_judged_by_their_beginning() -> None:
    text = "If 12 cats eat 3.5 fish? " * 1000
    (buckets, _), shape = encode_text(text)
    assert buckets.tolist() == list(plain_ngrams(text))
    assert shape.tolist() == plain_shape(text)
