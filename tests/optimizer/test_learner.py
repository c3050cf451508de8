from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from boute.errors import InputError
from boute.optimizer import learner
from boute.optimizer.problem import Problem
from boute.optimizer.sampler import make_sampler


def test_without_botorch_it_says_what_to_install(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str) -> Any:
        return None if name == "botorch" else find_spec(name)

    monkeypatch.setattr(learner, "find_spec", found)
    with pytest.raises(InputError, match=r"mobo-gp needs BoTorch.*pip install 'boute\[gp\]'"):
        make_sampler("mobo-gp", problem, 0).ask(1)
    assert make_sampler("mobo", problem, 0).ask(1)
