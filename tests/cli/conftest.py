"""The command as a user meets it: arguments in; exit code, standard output and error out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Of a process without a terminal that imports this boute."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::ResourceWarning",
    }


@pytest.fixture(scope="session")
def process(environment: dict[str, str]) -> Callable[..., Ran]:
    """Runs `boute` in a process of its own."""

    def run(*arguments: object, cwd: Path | None = None) -> Ran:
        command = [sys.executable, "-m", "boute", *map(str, arguments)]
        done = subprocess.run(
            command, env=environment, cwd=cwd, check=False, capture_output=True, text=True
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def boute(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs `boute` in this process, for what another process would not show better."""
    from boute.cli.main import main

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working folder too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def check_refused(boute: Callable[..., Ran], folder: Path) -> Callable[..., None]:
    """Asserts that a command ends with one line of complaint and leaves the folder as it was."""

    def contents() -> dict[str, bytes | None]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")
        }

    def check(code: int, says: list[str], *arguments: object, leaves: Container[str] = ()) -> None:
        before = contents()
        ran = boute(*arguments)
        assert ran.out == ""
        assert ran.err.startswith("boute: ")
        assert ran.err.count("\n") == 1, ran.err
        assert ran.code == code
        for words in says:
            assert words in ran.err
        assert {k: v for k, v in contents().items() if k not in leaves} == before

    return check


@pytest.fixture(scope="session")
def optimized(
    tmp_path_factory: pytest.TempPathFactory,
    process: Callable[..., Ran],
    small_spec: Callable[..., dict[str, Any]],
) -> tuple[Path, Ran]:
    """A folder with boute.yaml and out/ as `boute optimize` left it, and what it printed."""
    folder = tmp_path_factory.mktemp("optimized")
    spec = small_spec(search={"evaluations": 8, "sampler": "sobol"})
    (folder / "boute.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder, process("optimize", "boute.yaml", cwd=folder)


@pytest.fixture
def plan_file(optimized: tuple[Path, Ran]) -> Path:
    """The most balanced plan of the small study; it is shared, so leave it as it is."""
    return optimized[0] / "out" / "plans" / "plan-01.yaml"
