"""The best there can be, for who knows the future: evict what is needed again last. For replays only.

Belady, "A study of replacement algorithms for a virtual-storage computer" (IBM Systems Journal, 1966).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from pagedviz.memory.eviction.base import Policy
from pagedviz.memory.eviction.protocol import CachedBlock, Key, of_candidates
from pagedviz.memory.eviction.ranking import Ranking


class Belady(Policy):
    """Evicts the block whose next use is farthest away.

    A use may pass without finding its block, when a block before it in the sequence is gone. So a second
    ranking holds the soonest uses, and those that have passed are asked for again.

    Args:
        capacity: number of blocks in the tier.
        seed: ignored.
        next_use: when a content is asked for next, after now, in any unit; ``math.inf`` means never.
    """

    name = "belady"
    summary = "farthest next use goes first: the best possible, for replays only"
    live = False

    def __init__(self, capacity: int, seed: int = 0, *, next_use: Callable[[Key], float]) -> None:
        super().__init__(capacity, seed)
        self._next_use = next_use
        self._soonest = Ranking()
        self._farthest = Ranking()

    def add(self, block: CachedBlock) -> None:
        """Rank it by its next use."""
        when = self._next_use(block.key)
        self._soonest.add(block, when)
        self._farthest.add(block, -when)

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: ARG002, FBT001 - the protocol's
        """Take it out of both rankings."""
        self._soonest.remove(block.block)
        self._farthest.remove(block.block)

    def victims(self, count: int) -> Sequence[int]:
        """Those whose next use is farthest away."""
        self._ask_again()
        return self._farthest.lowest(count)

    def explain(self, block: int) -> str:
        """When it is used next."""
        when = self._soonest.rank(block)
        say = "never used again" if when == inf else f"next used at {when:g}, later than the others"
        return f"farthest in the future: {say}, {of_candidates(len(self._soonest))}"

    def _ask_again(self) -> None:
        while len(self._soonest):
            block = self._soonest.first()
            if self._next_use(block.key) == self._soonest.rank(block.block):
                return
            self.remove(block, evicted=False)
            self.add(block)
