"""What every slot of an allocator's pool is for, by the rule of ``trace/analysis/waste``. Knows no allocator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pagedviz.trace.analysis.waste import WasteSplit, empty_slots

__all__ = ["Holding", "Occupancy", "WasteSplit", "split"]


class Holding(NamedTuple):
    """What an allocator gave a request.

    Attributes:
        promised: slots set aside for the request.
        taken: slots that nobody else can have for its sake, the promised ones among them.
    """

    promised: int
    taken: int


class Occupancy(NamedTuple):
    """A request in memory.

    Attributes:
        written: slots that hold K and V of its tokens.
        final: how many it will have written in the end.
        holding: what it was given.
    """

    written: int
    final: int
    holding: Holding


def split(num_slots: int, num_free: int, held: Iterable[Occupancy], *, useful: bool) -> WasteSplit:
    """Say what each slot of a pool is for.

    Args:
        num_slots: slots of the pool.
        num_free: slots that the allocator could hand out, if somebody came whom they suit.
        held: the requests in memory.
        useful: False when somebody waits whom the free slots do not suit.
    """
    used = reserved = internal = 0
    for written, final, (promised, _) in held:
        later, never = empty_slots(written, final, promised)
        used += written
        reserved += later
        internal += never
    free = num_free if useful else 0
    return WasteSplit(used, reserved, internal, num_slots - used - reserved - internal - free, free)
