"""The key of a server, by the name of the variable that holds it: never on the command line."""

from __future__ import annotations

import os

from boute.errors import InputError

__all__ = ["api_key"]


def api_key(variable: str | None) -> str | None:
    """What `--api-key-env` names, None without it; raise InputError where nothing is in it."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(
            f"{variable[:80]} is not set or empty", where="--api-key-env", mend="set it to the key"
        )
    return key
