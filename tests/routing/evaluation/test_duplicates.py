import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.evaluation.duplicates import near_duplicates

WORDS = [f"word{chr(97 + i)}{chr(97 + j)}" for i in range(26) for j in range(26)]


def sentence(rng: np.random.Generator, words: int = 40) -> list[str]:
    return list(rng.choice(WORDS, words))


def jaccard(a: list[str], b: list[str]) -> float:
    one, two = ({tuple(t[i : i + 3]) for i in range(len(t) - 2)} for t in (a, b))
    return len(one & two) / len(one | two)


def test_finds_what_a_plain_comparison_of_all_pairs_finds() -> None:
    rng = np.random.default_rng(0)
    texts = [sentence(rng) for _ in range(60)]
    copies = [[*text] for text in texts[:30]]
    for copy in copies:
        copy[int(rng.integers(len(copy)))] = "changed"
    every = texts + copies
    groups = near_duplicates([" ".join(text) for text in every])
    for i in range(len(every)):
        for j in range(i):
            alike = jaccard(every[i], every[j])
            # An estimate from 64 hashes is off by 0.06 one time in three.
            if alike > 0.85:
                assert groups[i] == groups[j]
            if alike < 0.4:
                assert groups[i] != groups[j]


def test_a_template_with_other_numbers_is_a_duplicate_and_another_question_is_not() -> None:
    texts = [
        "A train leaves at 9 and drives 120 km at 60 km an hour. When does it arrive?",
        "A train leaves at 11 and drives 3,500 km at 70 km an hour. When does it arrive?",
        "Which of these gases is the most common in the air of the earth?",
    ]
    assert near_duplicates(texts).tolist() == [0, 0, 1]


@given(st.lists(st.text(max_size=30), max_size=12))
def test_equal_texts_share_a_group_and_groups_are_numbered_as_they_come(texts: list[str]) -> None:
    groups = near_duplicates(texts)
    assert len(groups) == len(texts)
    for i, text in enumerate(texts):
        assert groups[i] == groups[texts.index(text)]
    seen: list[int] = []
    for group in groups.tolist():
        if group not in seen:
            seen.append(group)
    assert seen == list(range(len(seen)))


@pytest.mark.parametrize("text", ["", " ", "\ud800", "?!", "x" * 100_000, "word " * 20_000])
def test_odd_texts_are_groups_too(text: str) -> None:
    assert near_duplicates([text, "another text that is unlike it", text]).tolist() == [0, 1, 0]
