"""GPUs that are left, node by node: a replica lives inside one node."""

from __future__ import annotations

from collections.abc import Sequence

from boute.context import Supply

__all__ = ["Inventory", "rooms_by_size"]


class Inventory:
    """Counts down the GPUs of each type as replicas are placed.

    A replica goes to the node in which it leaves the least room, so that whole nodes stay free
    for those that need them.
    """

    def __init__(self, supplies: Sequence[Supply]) -> None:
        self._free = [_nodes(supply.count, supply.card.node_gpus) for supply in supplies]

    def take(self, gpu: int, size: int, replicas: int) -> int:
        """Place up to `replicas` of `size` GPUs of type `gpu`; how many found room."""
        placed = 0
        nodes = self._free[gpu]
        while placed < replicas:
            index = min(
                (i for i, free in enumerate(nodes) if free >= size),
                key=lambda i: nodes[i],
                default=None,
            )
            if index is None:
                break
            fits = min(nodes[index] // size, replicas - placed)
            nodes[index] -= fits * size
            placed += fits
        return placed

    def room(self, gpu: int) -> int:
        """Size of the largest replica that still finds room in a node of a type."""
        return max(self._free[gpu], default=0)

    def left(self, gpu: int) -> int:
        """GPUs of a type that are still free."""
        return sum(self._free[gpu])


def rooms_by_size(supply: Supply) -> dict[int, int]:
    """GPUs that replicas of a size and larger can take together, by size, a power of two.

    Sizes are powers of two, so replicas find room in the nodes if and only if this holds for each
    size: placed from the largest down, what is taken of a node is a multiple of the size at hand,
    and a replica is turned away only when every node is full to its last whole multiple.
    """
    nodes = _nodes(supply.count, supply.card.node_gpus)
    rooms, size = {}, 1
    while any(node >= size for node in nodes):
        rooms[size] = sum(node // size * size for node in nodes)
        size *= 2
    return rooms


def _nodes(count: int, size: int) -> list[int]:
    whole, rest = divmod(count, size)
    return [size] * whole + ([rest] if rest else [])
