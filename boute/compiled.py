"""The one door to numba: a typed decorator for the kernels of the simulator.

Compiled code is cached on disk, so the cost is paid once after an installation or an upgrade.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["kernel"]

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile in nopython mode with C semantics for division, without reordering of floats.

    `fastmath` stays off: the same seed has to give the same bytes on every machine.
    """
    try:
        compiled = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:
        # There is nowhere to keep a cache: a read-only installation, or code typed in a shell.
        compiled = numba.njit(error_model="numpy")(function)
    return cast("F", compiled)
