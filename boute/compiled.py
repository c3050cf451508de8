"""The one door to numba: a typed decorator for the kernels of the simulator.

Compiled code is cached on disk, so the cost is paid once after an installation or an upgrade.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

import numba
from numba.core import config

__all__ = ["kernel"]

F = TypeVar("F", bound=Callable[..., object])

# Rooms that hold kernels. A kernel is compiled together with those that it calls, but numba looks
# only at the file of the kernel itself to tell whether its cache is stale.
_ROOMS: Final = ("performance", "simulation", "optimizer")


def kernel(function: F) -> F:
    """Compile in nopython mode with C semantics for division, without reordering of floats.

    `fastmath` stays off: the same seed has to give the same bytes on every machine. Where no
    folder can be written, the kernel is compiled anew in each process.
    """
    try:
        return cast("F", numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # numba found no place for its cache
        return cast("F", numba.njit(error_model="numpy")(function))


def _cache_folder() -> Path:
    """A folder beside the sources that is another one as soon as any kernel's source changes."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for room in _ROOMS:
        for source in sorted((package / room).glob("*.py")):
            text = source.read_bytes()
            if b"@kernel" in text:
                digest.update(text)
    return package / "__pycache__" / f"kernels-{digest.hexdigest()[:16]}"


if not config.CACHE_DIR:  # the user's own choice stays
    config.CACHE_DIR = str(_cache_folder())
