from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from boute.cli.keys import app
from boute.errors import InputError


def test_a_new_key_is_printed_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    options = ["--requests-per-minute", "60", "--model", "small", "--quality", "0.8"]
    ran = CliRunner().invoke(app, ["new", "--name", "alice", "--file", str(file), *options])
    assert ran.exit_code == 0
    key = ran.stdout.strip()
    assert len(key) >= 43
    assert key not in ran.stderr
    assert yaml.safe_load(file.read_text()) == {
        "keys": [
            {
                "name": "alice",
                "sha256": hashlib.sha256(key.encode()).hexdigest(),
                "requests_per_minute": 60,
                "models": ["small"],
                "quality": 0.8,
            }
        ]
    }


@pytest.mark.parametrize("text", [b"abc", b"abc\n", b"  abc\r\n"])
def test_the_hash_of_a_key_from_standard_input(text: bytes) -> None:
    ran = CliRunner().invoke(app, ["hash"], input=text)
    assert ran.stdout == f"{hashlib.sha256(b'abc').hexdigest()}\n"


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"two keys", b"one\ntwo", b"\xff\xfe", "schlüssel".encode()]
)
def test_what_is_no_key_is_not_repeated(text: bytes) -> None:
    ran = CliRunner().invoke(app, ["hash"], input=text)
    assert isinstance(ran.exception, InputError)
    assert str(ran.exception) == "standard input: give one key of ASCII without spaces"
