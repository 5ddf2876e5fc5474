"""Drawn by lot: what every other policy has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pagedviz.memory.eviction.base import Policy
from pagedviz.memory.eviction.protocol import CachedBlock, of_candidates


class RandomChoice(Policy):
    """Evicts any block, all with the same chance. The same seed and the same calls give the same victims."""

    name = "random"
    summary = "drawn by lot, from a seed"

    def __init__(self, capacity: int, seed: int = 0) -> None:
        super().__init__(capacity, seed)
        self._lots = Random(seed)  # noqa: S311 - no secret
        self._blocks: list[int] = []
        self._places: dict[int, int] = {}

    def add(self, block: CachedBlock) -> None:
        """Give it a lot."""
        self._places[block.block] = len(self._blocks)
        self._blocks.append(block.block)

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: ARG002, FBT001 - the protocol's
        """Take its lot away; the last one moves to its place."""
        place = self._places.pop(block.block)
        last = self._blocks.pop()
        if last != block.block:
            self._blocks[place] = last
            self._places[last] = place

    def victims(self, count: int) -> Sequence[int]:
        """Draw. Asked again, it draws again."""
        return [self._blocks[place] for place in self._lots.sample(range(len(self._blocks)), count)]

    def explain(self, block: int) -> str:
        """Of how many it was drawn."""
        return f"drawn by lot: block {block}, with seed {self.seed}, {of_candidates(len(self._blocks))}"
