"""One interface to the ways of choosing who answers, whatever they are set by.

A search knows of a routing only the share of the queries that each model answers. A policy turns
shares into its own setting, numbers that a plan holds, and says of a setting who answers what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from boute.workload.arrays import Floats, Ints

__all__ = ["Bools", "Policy", "Queries", "counts_of"]

Bools = NDArray[np.bool_]


class Queries(NamedTuple):
    """Of M queries those that a model is asked [M], and those of them that it answers [M].

    `streams` says whether the client sees its answers as they are made; else they are checked as a
    whole first.
    """

    asked: Bools
    answered: Bools
    streams: bool


class Policy(Protocol):
    """A way of choosing between K models in cost order, for M queries that it has evidence of.

    A setting alone decides who answers; whom it never asks is said by its values.
    """

    def setting_for(self, fractions: Sequence[float] | Floats) -> Floats:
        """The setting that gives the models these shares [K] of the queries.

        To the nearest query, as far as some cannot be told apart. A model with fraction 0 is asked
        nothing. Raise ValueError unless the fractions are a point of the simplex.
        """

    def answers(self, setting: Sequence[float] | Floats) -> Ints:
        """Index [M] of the model whose answer is given."""

    def asked(self, setting: Sequence[float] | Floats) -> Bools:
        """Whether a query is asked of a model [M, K]: all who answer it, and who did in vain."""

    def closed(self, setting: Floats, loads: Floats) -> Floats:
        """The setting without the models that have no load [K]; all others are asked as before."""

    def part(self, setting: Sequence[float] | Floats, model: int) -> tuple[float, ...]:
        """What of a setting decides which queries a model is asked and answers."""

    def queries(self, part: tuple[float, ...], model: int) -> Queries:
        """The queries of a model, by a part of a setting that is its own."""


def counts_of(fractions: Sequence[float] | Floats, queries: int) -> Ints:
    """Queries [K] that each share comes to, each sum of them to the nearest whole one."""
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.min() < 0 or abs(shares.sum() - 1.0) > 1e-6:
        raise ValueError("fractions are not negative and sum to 1")
    edges = np.rint(np.cumsum(shares / shares.sum()) * queries).astype(np.int64)
    edges[-1] = queries
    return np.diff(np.minimum(edges, queries), prepend=0)
