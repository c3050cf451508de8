from __future__ import annotations

import pytest

from boute.bench.checks import CHECKS


@pytest.mark.parametrize(
    ("completion", "right"),
    [
        ("a+7=07 b+12=19", {"contains", "last-word"}),
        (" 19\n", {"exact", "contains", "last-word"}),
        ("12 + 7 is 19.", {"contains", "last-word"}),
        ("19 is 12 + 7", {"contains"}),
        ("20", set()),
        ("", set()),
    ],
)
def test_what_counts_as_right(completion: str, right: set[str]) -> None:
    assert {name for name, check in CHECKS.items() if check(completion, " 19 ") == 1.0} == right
    assert {check(completion, "19") for check in CHECKS.values()} <= {0.0, 1.0}
