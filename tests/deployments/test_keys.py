from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boute.deployments.keys import (
    KeyEntry,
    add_key,
    hash_key,
    key_of,
    load_keys,
    new_key,
    with_environment,
)
from boute.deployments.options import KeyLimits, ServingOptions
from boute.errors import InputError

SECRET = "sk-secret-that-no-message-may-repeat"


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> object:
    (folder / "keys.yaml").write_text(text)
    return load_keys(ServingOptions(keys_file="keys.yaml"), folder, environ or {})


def test_a_hash_is_sha256() -> None:
    assert hash_key("abc") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer abc", "abc"),
        ("bearer   abc ", "abc"),
        ("BEARER a.b-c_d=", "a.b-c_d="),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer a b", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_the_key_of_a_header(header: str | None, key: str | None) -> None:
    assert key_of(header) == key


@given(st.text())
def test_no_header_is_too_odd(header: str) -> None:
    key = key_of(header)
    assert key is None or len(hash_key(key)) == 64


def test_an_open_server_has_no_keys(tmp_path: Path) -> None:
    assert load_keys(ServingOptions(), tmp_path, {}) is None


def test_keys_of_a_file_and_of_the_environment(tmp_path: Path) -> None:
    text = (
        f"keys:\n- name: alice\n  sha256: {hash_key('a')}\n  requests_per_minute: 6\n"
        f"- name: bob\n  sha256: {hash_key('b')}\n  models: [small]\n  quality: 0.8\n"
    )
    assert load(tmp_path, text, {"BOUTE_API_KEYS": "c, a,"}) == {
        hash_key("a"): KeyLimits(requests_per_minute=6),
        hash_key("b"): KeyLimits(models=["small"], quality=0.8),
        hash_key("c"): KeyLimits(),
    }


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    assert load(tmp_path, "keys: []\n") == {}


@pytest.mark.parametrize("value", ["", " ", ",", " , "])
def test_an_environment_without_keys_does_not_open_the_server(value: str) -> None:
    with pytest.raises(InputError, match=r"^BOUTE_API_KEYS: holds no key"):
        with_environment(None, {"BOUTE_API_KEYS": value})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"keys:\n- name: a\n  sha256: {SECRET}\n", "keys.yaml:1: keys: sha256 of entry 1"),
        (f"keys:\n- {SECRET}\n", "keys.yaml:1: keys: entry 1 should be a mapping"),
        (f"keys:\n  alice: {SECRET}\n", "keys.yaml:1: keys: should be a list"),
        ("keys:\n- name: a\n  sha256: 12345\n", "entry 1 should be a mapping"),
        ("keys:\n- name: a\n", r"keys.yaml:2: keys[0].sha256 is missing"),
        (
            f"keys:\n- name: a\n  sha256: {'0' * 63}a\n  requests_per_minute: 0\n",
            "keys.yaml:4: keys[0].requests_per_minute: should be at least 1",
        ),
        (
            f"keys:\n- name: a\n  sha256: {'0' * 63}a\n- name: b\n  sha256: {'0' * 63}a\n",
            "the key of a is given twice",
        ),
        (
            f"keys:\n- name: a\n  sha256: {'0' * 63}a\n- name: a\n  sha256: {'0' * 63}b\n",
            "the name a is given twice",
        ),
    ],
)
def test_a_wrong_file_is_named_by_its_line_and_never_repeated(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_key_is_added_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    first, second = new_key(), new_key()
    assert first != second
    add_key(path, KeyEntry(name="a", sha256=hash_key(first), requests_per_minute=5))
    add_key(path, KeyEntry(name="b", sha256=hash_key(second)))
    found = load_keys(ServingOptions(keys_file=str(path)), tmp_path, {})
    assert found == {
        hash_key(first): KeyLimits(requests_per_minute=5),
        hash_key(second): KeyLimits(),
    }
    before = path.read_bytes()
    assert first.encode() not in before
    with pytest.raises(InputError, match="already a key of a"):
        add_key(path, KeyEntry(name="a", sha256=hash_key(new_key())))
    assert path.read_bytes() == before
