from __future__ import annotations

import math

from boute.compiled import kernel


@kernel
def ratio(a: float, b: float) -> float:
    return a / b


@kernel
def left_to_right(a: float, b: float, c: float) -> float:
    return a + b + c


def test_division_by_zero_is_that_of_c_and_does_not_raise() -> None:
    assert ratio(1.0, 0.0) == math.inf
    assert math.isnan(ratio(0.0, 0.0))
    assert ratio(1.0, 3.0) == 1.0 / 3.0


def test_sums_are_not_reordered() -> None:
    # Reordered, the small number would survive.
    assert left_to_right(1e16, 1.0, -1e16) == (1e16 + 1.0) - 1e16 == 0.0
    assert left_to_right(1e16, -1e16, 1.0) == 1.0


def test_kernels_are_compiled() -> None:
    assert ratio(1.0, 2.0) == 0.5
    assert len(ratio.signatures) == 1  # type: ignore[attr-defined]


def test_code_that_cannot_be_cached_is_compiled_all_the_same() -> None:
    names: dict[str, object] = {"kernel": kernel}
    exec("@kernel\ndef double(x):\n    return 2 * x\n", names)
    assert names["double"](21) == 42  # type: ignore[operator]
