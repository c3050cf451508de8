import hashlib

import numpy as np

from boute.routing.evaluation.seen import seen_before, text_hashes


def test_hashes_are_the_first_bytes_of_sha256_in_order() -> None:
    texts = ["a", "", "b", "\ud800"]
    expected = hashlib.sha256(b"b").digest()[:8]
    assert int(text_hashes(texts)[2]) == int.from_bytes(expected, "little")
    assert len(set(text_hashes(texts).tolist())) == 4


def test_only_what_was_fitted_on_is_seen() -> None:
    known = np.sort(text_hashes(["what is 2 + 2?", "hello"]))
    assert seen_before(["hello", "Hello", "what is 2 + 2?"], known).tolist() == [True, False, True]
    assert seen_before([], known).tolist() == []
