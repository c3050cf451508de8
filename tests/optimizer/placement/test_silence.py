"""What compiled code prints is lost within, and nothing else is."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from boute.optimizer.placement.silence import silenced

_C = ctypes.CDLL(None)


def test_what_compiled_code_prints_is_lost_only_within(capfd: pytest.CaptureFixture[str]) -> None:
    _C.puts(b"before")
    with silenced():
        _C.puts(b"within")
    _C.puts(b"after")
    _C.fflush(None)
    assert capfd.readouterr().out.split() == ["before", "after"]


def test_output_comes_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), silenced():
        raise ValueError("no")
    os.write(1, b"here\n")
    assert capfd.readouterr().out == "here\n"


def test_a_process_without_standard_output_goes_on() -> None:
    code = "from boute.optimizer.placement.silence import silenced\nwith silenced(): exit(7)"
    command = [sys.executable, "-c", "import os; os.close(1)\n" + code]
    assert subprocess.run(command, check=False).returncode == 7
