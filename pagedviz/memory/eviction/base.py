"""What the policies of this package share. Chooses no victim.

``Policy`` is what every one of them is; ``Queued`` and ``Ranked`` keep the candidates of those for which one
queue or one number is enough.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from pagedviz.memory.eviction.protocol import CachedBlock
from pagedviz.memory.eviction.ranking import Ranking


class Policy(ABC):
    """An ``EvictionPolicy`` with a name. Policies read ``hits`` when a block is added.

    Args:
        capacity: number of blocks in the tier.
        seed: for those that draw lots.

    Attributes:
        name: what users write.
        summary: one line for ``--help`` and the dashboard.
        live: False when it needs the future, so that only a replay can have it.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    live: ClassVar[bool] = True

    def __init__(self, capacity: int, seed: int = 0) -> None:
        self.capacity = capacity
        self.seed = seed

    @abstractmethod
    def add(self, block: CachedBlock) -> None:
        """See ``EvictionPolicy``."""

    @abstractmethod
    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: FBT001 - the protocol's
        """See ``EvictionPolicy``."""

    @abstractmethod
    def victims(self, count: int) -> Sequence[int]:
        """See ``EvictionPolicy``."""

    @abstractmethod
    def explain(self, block: int) -> str:
        """See ``EvictionPolicy``."""


class Queued(Policy):
    """Candidates in the order in which their last owners let go of them: ``_queue``, block id -> block.

    An OrderedDict, because a dict that is emptied from its front walks over all that is gone.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        super().__init__(capacity, seed)
        self._queue: OrderedDict[int, CachedBlock] = OrderedDict()

    def add(self, block: CachedBlock) -> None:
        """Put it at the end."""
        self._queue[block.block] = block

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: ARG002, FBT001 - the protocol's
        """Take it out of the queue."""
        del self._queue[block.block]


class Ranked(Policy):
    """Candidates in the order of a number that is known when they are added: ``_ranking``.

    Among equals the least recently used goes first.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        super().__init__(capacity, seed)
        self._ranking = Ranking()

    @abstractmethod
    def rank(self, block: CachedBlock) -> float:
        """The lowest goes first."""

    def add(self, block: CachedBlock) -> None:
        """Rank it."""
        self._ranking.add(block, self.rank(block))

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: ARG002, FBT001 - the protocol's
        """Take it out of the ranking."""
        self._ranking.remove(block.block)

    def victims(self, count: int) -> Sequence[int]:
        """Those of the lowest rank."""
        return self._ranking.lowest(count)
