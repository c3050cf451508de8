"""The features of a text, written plainly, against the fast ones: router files depend on them."""

from __future__ import annotations

import itertools
import re
import string

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.features import encode_text
from boute.routing.shape import _LISTS
from boute.routing.words import MAX_CHARACTERS

SPACELESS = r"\u3040-\u30ff\u3400-\u9fff"
WORDS = re.compile(rf"[{SPACELESS}]|[^\W\d_{SPACELESS}]+|\d+|[^\w\s]|_")
BASE, MIX, PAIR = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F
LISTED = {name: set(words.split()) for name, words in _LISTS.items()}
SCRIPTS = (
    r"[\u00c0-\u024f\u1e00-\u1eff]",
    r"[\u0400-\u052f]",
    r"[\u0590-\u08ff]",
    r"[\u0900-\u109f]",
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]",
)
# Letters that change their length or become ASCII in lower case, digits that are not decimal, and
# spaces that are not ASCII's.
STRANGE = "éÉß²³٣½\ud800中文かな한שعहÄя×？؟ǅＡ１\x85\xa0İıſ\u212a≤√πΩ\U0001d7d8\U0001f600\x1c"

listed = st.lists(st.sampled_from(sorted({*" ".join(_LISTS.values()).split(), "Ox", "?"})))
texts = (
    st.text()
    | st.text(alphabet=string.printable + STRANGE)
    | st.text(alphabet=STRANGE)
    | listed.map(" ".join)
)


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
    characters, count = max(len(head), 1), max(len(words), 1)
    on = {name: sum(word in listed for word in words) for name, listed in LISTED.items()}
    first = next((word for word in words if word[0].isalnum() and kept(word)), "")
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
        float(np.log1p(on["control"])),
        float(min(sum(head.count(mark) for mark in "?？؟"), 5)),
        len(set(words)) / count,
        sum(map(len, words)) / count,
        *(sum(map(str.isalpha, re.findall(script, head))) / characters for script in SCRIPTS),
        *(max(on[name] - on["english"], 0) / count for name in ("french", "german", "spanish")),
        float(first in LISTED["question"]),
        float(first in LISTED["auxiliary"]),
        float(np.log1p(on["request"])),
    ]


def kept(word: str) -> bool:
    """Whether it is of letters that words are made of."""
    return not word[0].isdecimal() and re.match(f"[{SPACELESS}]", word) is None


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
