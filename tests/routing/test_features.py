import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.routing.features import BUCKETS, SHAPE_NAMES, encode_text


@given(st.text(max_size=300))
def test_any_text_gives_finite_features(text: str) -> None:
    (buckets, weights), shape = encode_text(text)
    assert (np.diff(buckets) > 0).all()
    assert ((buckets >= 0) & (buckets < BUCKETS)).all()
    assert np.linalg.norm(weights) <= 1 + 1e-12
    assert shape.shape == (len(SHAPE_NAMES),)
    assert np.isfinite(shape).all()


def test_surrogates_and_emptiness() -> None:
    assert len(encode_text("\ud800 x")[0][0]) == 3
    (buckets, _), shape = encode_text("")
    assert len(buckets) == 0
    assert shape.shape == (len(SHAPE_NAMES),)


def test_shape_figures_mean_what_they_are_called() -> None:
    text = "If 12 cats eat 3.5 fish?\nfor x in y: f(x) + 1"
    shape = dict(zip(SHAPE_NAMES, encode_text(text)[1], strict=True))
    assert shape["log_characters"] == np.log1p(len(text))
    assert shape["digit_share"] == 5 / len(text)
    assert shape["newline_share"] == 1 / len(text)
    assert shape["question_marks"] == 1
    assert shape["log_numbers"] == np.log1p(4)
    assert shape["log_control_words"] == np.log1p(2)
    assert shape["code_mark_share"] == 2 / len(text)
    assert shape["math_mark_share"] == 1 / len(text)


def shape_of(text: str) -> dict[str, float]:
    return dict(zip(SHAPE_NAMES, encode_text(text)[1].tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Quel est le plus grand pays de la terre ?", "french_word_share"),
        ("Wer ist der König von Schweden und wo wohnt er?", "german_word_share"),
        ("¿Cuál es la capital de la provincia?", "spanish_word_share"),
        ("Почему небо синее?", "cyrillic_letter_share"),
        ("لماذا السماء زرقاء؟", "arabic_hebrew_letter_share"),
        ("आसमान नीला क्यों है?", "south_asian_letter_share"),
        ("天空为什么是蓝色的？", "east_asian_letter_share"),
        ("하늘은 왜 파란가요?", "east_asian_letter_share"),
        ("Perché il cielo è così blu? Città, università", "accented_letter_share"),
    ],
)
def test_a_language_is_told(text: str, name: str) -> None:
    shape = shape_of(text)
    languages = [n for n in SHAPE_NAMES if n.endswith(("_letter_share", "_word_share"))]
    told = max((n for n in languages if n != "distinct_word_share"), key=shape.__getitem__)
    assert told == name
    assert not any(shape_of("Why is the sky blue? Die casting, also en route")[n] for n in (name,))


def test_the_form_of_a_question_is_told() -> None:
    asked = shape_of('"Which of these is right?"')
    assert asked["leading_question_word"] == 1
    assert asked["leading_auxiliary_verb"] == 0
    assert shape_of("1. Does it rain?")["leading_auxiliary_verb"] == 1
    told = shape_of("It rains. Explain why, and prove it.")
    assert told["leading_question_word"] == told["leading_auxiliary_verb"] == 0
    assert told["log_request_words"] == np.log1p(2)


def test_chinese_characters_are_words() -> None:
    assert len(encode_text("天空 蓝")[0][0]) == 3 + 2  # and pairs


def test_the_hash_is_the_same_in_another_process() -> None:
    code = (
        "from boute.routing.features import encode_text; import sys;"
        "print(encode_text('How many apples are left?')[0][0].tolist());"
        "print([m for m in ('sklearn', 'pandas', 'torch') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    here = encode_text("How many apples are left?")[0][0].tolist()
    assert run.stdout.splitlines() == [str(here), "[]"]
