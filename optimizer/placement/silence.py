"""Silence for compiled code that prints although it was asked not to.

HiGHS prints a line of debugging each time that it repairs an integer solution, past Python's
`sys.stdout` and whatever its options say. Among JSON that a command prints it would break it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["silenced"]

_STDOUT = 1
_C = ctypes.CDLL(None if os.name == "posix" else "ucrtbase")


@contextmanager
def silenced() -> Iterator[None]:
    """Throw away what compiled code writes to standard output meanwhile."""
    _C.fflush(None)
    try:
        kept = os.dup(_STDOUT)
    except OSError:  # closed: nothing can be printed
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDOUT)
        yield
    finally:
        _C.fflush(None)
        os.dup2(kept, _STDOUT)
        os.close(kept)
