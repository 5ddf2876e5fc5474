"""A copy between the tiers as memory sees it: pairs of blocks that a function copies, at once or by and by.

Knows nothing of tensors, nor of what the blocks are for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from pagedviz.events import SwappedIn, SwappedOut

Pairs = Sequence[tuple[int, int]]


class Moving(Protocol):
    """A copy between the tiers, perhaps under way."""

    @property
    def num_bytes(self) -> int:
        """K and V of all its blocks."""
        ...

    @property
    def duration_us(self) -> int:
        """0 until it is known."""
        ...


class Moved(NamedTuple):
    """A copy that is done."""

    num_bytes: int
    duration_us: int


Move = Callable[[str, Pairs], Moving]
"""``move("out" | "in", pairs)`` copies the content of (source block, target block) pairs to the other tier."""

Tell = Callable[[SwappedOut | SwappedIn, Moving], None]
"""Emits an event. Whoever lets copies be under way corrects its duration when that is known."""


def no_tensors(direction: str, pairs: Pairs) -> Moved:  # noqa: ARG001 - the shape of Move
    """A move without a model: there is nothing to copy."""
    return Moved(0, 0)
