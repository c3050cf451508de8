"""A real start of vLLM's CPU engine, and what is read of its log."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from benchmarks.startup_cpu import serving
from boute.deployments.engines.arguments import command_line, engine_env, vllm_arguments
from boute.startup.parse import parse_file

LIMIT_S = 300.0


@pytest.mark.vllm
def test_the_log_of_a_real_start(tiny_model, settings_of, tmp_path: Path) -> None:
    settings = settings_of("vllm-process", weights_from=str(tiny_model))
    arguments = vllm_arguments(settings) | {"host": "127.0.0.1", "port": 0}
    words = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *command_line(arguments)]
    log = tmp_path / "start.log"
    with serving(words, os.environ | engine_env(settings)) as server:
        end = threading.Timer(LIMIT_S, os.killpg, [server.pid, signal.SIGKILL])
        end.start()
        try:
            assert server.stdout is not None
            with log.open("w") as file:
                for line in server.stdout:
                    file.write(line)
                    if "Application startup complete" in line:
                        break
        finally:
            end.cancel()
    found = parse_file(log)
    assert (found.notes, found.engines, found.eager) == ((), 1, True)
    assert found.version is not None
    assert found.total_s is not None
    for step in ("bootstrap", "loading", "profiling"):
        assert found.steps[step] is not None
    assert found.steps["bootstrap"] > found.total_s / 2
    # Times of whole seconds leave little unexplained.
    assert found.unexplained_s <= 0.3 * found.total_s
