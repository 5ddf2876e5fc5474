"""Second chance, also called clock: first in, first out, but what was found since is passed over once.

Corbato, "A paging experiment with the Multics system" (MIT, 1968). A hand goes round the blocks: it clears the
mark of one that was found since it last came by, and takes one without a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count as counter

from pagedviz.memory.eviction.base import Policy
from pagedviz.memory.eviction.protocol import CachedBlock, of_candidates
from pagedviz.memory.eviction.ranking import Ranking


class Clock(Policy):
    """Places grow in the direction of the hand, which stands before the lowest; passing a block puts it behind.

    A block in use keeps its place, and the hand skips it. A new block comes in behind the hand, without a
    mark.
    """

    name = "clock"
    summary = "second chance: what was found since the hand last came by is passed over once"

    def __init__(self, capacity: int, seed: int = 0) -> None:
        super().__init__(capacity, seed)
        self._circle = Ranking()
        self._marked: set[int] = set()
        self._places: dict[int, tuple[int, int]] = {}  # of blocks in use too: id -> (serial of content, place)
        self._behind = counter()

    def add(self, block: CachedBlock) -> None:
        """Where it was, or behind the hand if it is new; marked if a request has found it."""
        serial, place = self._places.get(block.block, (None, 0))
        if serial != block.serial:
            place = next(self._behind)
            self._places[block.block] = block.serial, place
        if block.hits:
            self._marked.add(block.block)
        self._circle.add(block, place)

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: FBT001 - the protocol's
        """It leaves the circle if it is evicted; else it keeps its place."""
        self._circle.remove(block.block)
        self._marked.discard(block.block)
        if evicted:
            del self._places[block.block]

    def victims(self, count: int) -> Sequence[int]:
        """Let the hand go round. Asked again, it finds the same ones: marks are cleared, victims stay."""
        chosen: list[CachedBlock] = []
        while len(chosen) < count:
            block = self._circle.first()
            self._circle.remove(block.block)
            if block.block in self._marked:
                self._marked.remove(block.block)
                place = next(self._behind)
                self._places[block.block] = block.serial, place
                self._circle.add(block, place)
            else:
                chosen.append(block)
        for block in chosen:
            self._circle.add(block, self._places[block.block][1])
        return [block.block for block in chosen]

    def explain(self, block: int) -> str:
        """Since when it has not been found."""
        used = self._circle.block(block).used
        return (
            f"second chance used up: not found since the hand came by, last used in step {used}, "
            f"{of_candidates(len(self._circle))}"
        )
