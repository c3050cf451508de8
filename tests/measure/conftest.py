"""The batcher of this folder as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., str]]:
    """Starts a batcher with options and returns its URL."""
    with ExitStack() as stack:

        def start(*options: str) -> str:
            program = [sys.executable, str(Path(__file__).with_name("batcher.py")), *options]
            process = stack.enter_context(
                subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            return f"http://127.0.0.1:{int(process.stdout.readline())}"

        yield start
