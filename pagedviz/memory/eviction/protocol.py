"""What an eviction policy is told, and what it is asked. Decides nothing.

A policy knows nothing of tables, sequences, tiers or tensors: only of blocks whose content has a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Protocol

import msgspec

from pagedviz.values import counted

Key = tuple[int, str]
"""(layer group, chained content hash)."""


# gc=False: none is ever part of a cycle, and the garbage collector would walk over all of them.
class CachedBlock(msgspec.Struct, eq=False, gc=False):
    """A full block whose content is known by name. Written by the prefix cache, read by policies.

    Attributes:
        block: id in its tier's pool.
        key: its content's name.
        depth: tokens before it in its sequence.
        serial: numbers contents in the order in which they were first cached: unique, increasing.
        born: step in which its content was first cached.
        used: step in which its last owner let go of it.
        hits: how often a request found it.
    """

    block: int
    key: Key
    depth: int
    serial: int
    born: int
    used: int = 0
    hits: int = 0

    def __deepcopy__(self, memo: object) -> CachedBlock:
        """A flat copy: no field is ever changed in place. A preview copies all that a policy knows."""
        return copy(self)


class EvictionPolicy(Protocol):
    """Which of the blocks that nobody holds goes first. It sees only those: the candidates.

    It may remember keys of other blocks, at most a few per block of the tier.
    """

    def add(self, block: CachedBlock) -> None:
        """Nobody holds the block any more: it may be evicted."""

    def remove(self, block: CachedBlock, evicted: bool) -> None:  # noqa: FBT001 - it is given by position
        """It is no candidate any more: evicted, or (False) a request found it and holds it."""

    def victims(self, count: int) -> Sequence[int]:
        """Choose ``count`` different candidates (block ids), the first to go first.

        Forgets none: ``remove`` follows for each. ``count`` is never more than there are candidates.
        """

    def explain(self, block: int) -> str:
        """Why this candidate goes first, for a person; asked before it is removed.

        For example "least recently used: last used in step 12, of 41 candidates".
        """


def of_candidates(count: int) -> str:
    """``of 41 candidates``: how a policy's explanation ends."""
    return f"of {counted(count, 'candidate')}"
