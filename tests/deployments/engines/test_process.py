"""The child process: how it ends, and what is said when it does not come up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boute.deployments.engines.base import EngineError
from boute.deployments.engines.process import _DIE_WITH_PARENT, ProcessEngine
from boute.spec.family import ServedBy

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], "http.server", "0"])
print(child.pid, flush=True)
time.sleep(600)
"""


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_the_child_ends_when_the_replica_is_killed():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, _DIE_WITH_PARENT], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        # Until it has become the server it may not have asked to be ended yet.
        limit = time.monotonic() + 60
        while b"http.server" not in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[2:3]:
            assert time.monotonic() < limit
            time.sleep(0.01)
        parent.kill()
    while running(child):
        assert time.monotonic() < limit
        time.sleep(0.01)


def started(engine: ProcessEngine) -> None:
    async def start() -> None:
        try:
            await engine.start()
        finally:
            await engine.stop()

    asyncio.run(start())


def test_an_interpreter_that_is_not_there_is_said(settings_of):
    served_by = ServedBy(engine="vllm-process", python="/no/such/python")
    engine = ProcessEngine(settings_of("vllm-process", weights_from="m", served_by=served_by))
    with pytest.raises(EngineError, match="/no/such/python cannot be run"):
        started(engine)


def test_the_end_of_its_output_is_in_the_error(settings_of, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no vLLM is installed here >&2\nexit 3\n")
    os.chmod(python, 0o755)
    served_by = ServedBy(engine="vllm-process", python=str(python))
    engine = ProcessEngine(settings_of("vllm-process", weights_from="m", served_by=served_by))
    with pytest.raises(EngineError, match="status 3: no vLLM is installed here"):
        started(engine)
