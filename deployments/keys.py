"""API keys: who may ask. Keys are known by their SHA-256 only, and no message repeats one.

A plain hash is enough because keys are random (`boute keys new` draws 256 bits): there is nothing
to guess that a slow hash would protect.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator

from boute.deployments.options import KeyLimits, ServingOptions
from boute.documents import Document, dump_yaml, load_document
from boute.errors import InputError
from boute.files import write_text
from boute.spec.load import resolve

__all__ = [
    "KEYS_VARIABLE",
    "KeyEntry",
    "KeysFile",
    "add_key",
    "environment_keys",
    "hash_key",
    "key_of",
    "load_keys",
    "new_key",
    "with_environment",
]

KEYS_VARIABLE: Final = "BOUTE_API_KEYS"

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)


class KeyEntry(KeyLimits):
    """One key: whose it is, its hash and what it may do."""

    name: str = Field(min_length=1, max_length=80)
    sha256: str = Field(description="64 hexadecimal digits, as `boute keys hash` prints them")


class KeysFile(Document):
    """keys.yaml. An empty list lets nobody in."""

    keys: list[KeyEntry]

    @field_validator("keys", mode="before")
    @classmethod
    def _hashes_not_keys(cls, value: Any) -> Any:
        # Checked for the list as a whole: what is wrong with one value would repeat the value,
        # which may be a key that was written where its hash belongs.
        for number, entry in enumerate(value if isinstance(value, list) else [], start=1):
            found = entry.get("sha256", "") if isinstance(entry, Mapping) else None
            if not isinstance(found, str):
                raise ValueError(f"entry {number} should be a mapping with name and sha256")
            if found and not _HASH.fullmatch(found):
                raise ValueError(
                    f"sha256 of entry {number} should be 64 hexadecimal digits, as "
                    "`boute keys hash` prints them"
                )
        return value

    @field_validator("keys")
    @classmethod
    def _differ(cls, value: list[KeyEntry]) -> list[KeyEntry]:
        for kind, found in (
            ("the name", [entry.name for entry in value]),
            ("the key of", [entry.sha256 for entry in value]),
        ):
            twice = {item for item, count in Counter(found).items() if count > 1}
            for entry in value:
                if {entry.name, entry.sha256} & twice:
                    raise ValueError(f"{kind} {entry.name} is given twice")
        return value


def hash_key(key: str) -> str:
    """SHA-256 of a key as 64 hexadecimal digits: the name that a key has everywhere but here."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_of(authorization: str | None) -> str | None:
    """The key of an Authorization header `Bearer KEY`; None for any other header, or none."""
    found = _BEARER.fullmatch(authorization.strip()) if authorization else None
    return found.group(1) if found else None


def load_keys(
    options: ServingOptions, folder: Path, environ: Mapping[str, str]
) -> dict[str, KeyLimits] | None:
    """Hashes of the keys that may ask, with their limits; None when the server is open.

    From `options.keys_file`, relative to `folder`, and from BOUTE_API_KEYS (keys with commas
    between them, without limits). Look a key up as `keys.get(hash_key(key))`: the time that takes
    tells of the hash, not of the key. Raises InputError naming file, line and key.
    """
    keys: dict[str, KeyLimits] | None = None
    if options.keys_file is not None:
        file = load_document(resolve(options.keys_file, folder), KeysFile)
        keys = {
            entry.sha256: KeyLimits(**entry.model_dump(exclude={"name", "sha256"}))
            for entry in file.keys
        }
    return with_environment(keys, environ)


def with_environment(
    keys: dict[str, KeyLimits] | None, environ: Mapping[str, str]
) -> dict[str, KeyLimits] | None:
    """Keys with those of BOUTE_API_KEYS added; a limit from a file stays. Raises InputError."""
    added = environment_keys(environ)
    if added is None:
        return keys
    return {hashed: KeyLimits() for hashed in added} | (keys or {})


def environment_keys(environ: Mapping[str, str]) -> list[str] | None:
    """Hashes of the keys in BOUTE_API_KEYS, None when it is not set. Raises InputError."""
    given = environ.get(KEYS_VARIABLE)
    if given is None:
        return None
    keys = [key.strip() for key in given.split(",") if key.strip()]
    if not keys:
        # Most likely a secret that did not arrive; an open server is not what was meant.
        raise InputError("holds no key", where=KEYS_VARIABLE, mend="give a key or unset it")
    return [hash_key(key) for key in keys]


def new_key() -> str:
    """A fresh key: 256 random bits."""
    return f"sk-boute-{secrets.token_urlsafe(32)}"


def add_key(path: Path, entry: KeyEntry) -> None:
    """Add a key to a file, which is made where there is none; raise InputError or OutputError.

    The file is written anew, so comments in it are not kept.
    """
    keys = load_document(path, KeysFile).keys if path.exists() else []
    if entry.name in {other.name for other in keys}:
        raise InputError(
            f"there is already a key of {entry.name}", where=str(path), mend="choose another name"
        )
    entries = [one.model_dump(mode="json", exclude_none=True) for one in (*keys, entry)]
    # Who and what first, limits after.
    entries = [{"name": one["name"], "sha256": one["sha256"], **one} for one in entries]
    write_text(path, dump_yaml({"keys": entries}))
