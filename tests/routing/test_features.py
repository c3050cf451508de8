import subprocess
import sys

import numpy as np
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
