"""Adaptive replacement: learns from its mistakes how much room recency and frequency deserve.

Megiddo and Modha, "ARC: a self-tuning, low overhead replacement cache" (FAST 2003). In the paper's words: T1
holds what was asked for once, T2 what was asked for again, B1 and B2 the names of what was evicted from them
(ghosts), and p is the size that T1 should have. A ghost that comes back shows that its list was too short.

Two things differ, because a block is evicted before anybody can know which content it is wanted for. p follows
a ghost's return after the eviction that made room for it, not before. And blocks in use are in none of the lists.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain, islice
from math import ceil

from pagedviz.memory.eviction.base import Policy
from pagedviz.memory.eviction.protocol import CachedBlock, Key, of_candidates


class ARC(Policy):
    """Evicts the least recently used of T1 while that is longer than p, else of T2."""

    name = "arc"
    summary = "adaptive: learns whether blocks asked for once or more often deserve the room"

    def __init__(self, capacity: int, seed: int = 0) -> None:
        super().__init__(capacity, seed)
        self._once: OrderedDict[int, CachedBlock] = OrderedDict()  # T1
        self._again: OrderedDict[int, CachedBlock] = OrderedDict()  # T2
        self._once_gone: OrderedDict[Key, None] = OrderedDict()  # B1
        self._again_gone: OrderedDict[Key, None] = OrderedDict()  # B2
        self._target = 0.0  # p

    def add(self, block: CachedBlock) -> None:
        """To T2 if it was found, or is a ghost's content computed again; to T1 if it is new."""
        if block.key in self._once_gone:
            step = max(1.0, len(self._again_gone) / len(self._once_gone))
            self._target = min(self.capacity, self._target + step)
            del self._once_gone[block.key]
            self._again[block.block] = block
        elif block.key in self._again_gone:
            step = max(1.0, len(self._once_gone) / len(self._again_gone))
            self._target = max(0.0, self._target - step)
            del self._again_gone[block.key]
            self._again[block.block] = block
        elif block.hits:
            self._again[block.block] = block
        else:
            self._once[block.block] = block
        self._forget_ghosts()

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: FBT001 - the protocol's
        """Take it out of its list; if it is evicted, keep its name."""
        first = block.block in self._once
        del (self._once if first else self._again)[block.block]
        if evicted:
            ghosts = self._once_gone if first else self._again_gone
            ghosts[block.key] = None

    def victims(self, count: int) -> Sequence[int]:
        """As the paper's REPLACE, ``count`` times."""
        above = min(count, max(0, ceil(len(self._once) - self._target)))
        from_again = min(count - above, len(self._again))
        once = islice(self._once, count - from_again)
        head = list(islice(once, above))
        return list(chain(head, islice(self._again, from_again), once))

    def explain(self, block: int) -> str:
        """Its list, how long that is, and how long the first one should be."""
        first = block in self._once
        cached = (self._once if first else self._again)[block]
        return (
            f"least recently used of those asked for {'once' if first else 'more than once'}: last used in step "
            f"{cached.used}; {len(self._once)} were asked for once, {self._target:.1f} should be, "
            f"{of_candidates(len(self._once) + len(self._again))}"
        )

    def _forget_ghosts(self) -> None:
        """At most ``capacity`` names in T1 and B1 together, and twice that in all."""
        while self._once_gone and len(self._once) + len(self._once_gone) > self.capacity:
            self._once_gone.popitem(last=False)
        known = len(self._once) + len(self._again) + len(self._once_gone)
        while self._again_gone and known + len(self._again_gone) > 2 * self.capacity:
            self._again_gone.popitem(last=False)
