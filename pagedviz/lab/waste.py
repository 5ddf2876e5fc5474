"""Where a pool's token slots go: the paper's split into used, reserved, internal, external and free.

After section 3.1 and figure 2 of the PagedAttention paper, by one rule for every allocator:

* used: the slot holds K and V of a token;
* reserved: it is empty, set aside for a request that will really come to use it;
* internal: it is set aside for a request that will never use it (over-provisioning);
* external: nobody was promised it, and nobody can have it. Figure 2 calls this "external and others": what an
  allocator rounds up, slots too few to be handed out, and what is free but of no use to the request next in line;
* free: the rest, which the next request in line can have, or for which nobody waits.

By that rule the end of a paged sequence's last block is reserved as far as the sequence will grow into it, and
internal beyond. It knows nothing of how an allocator works.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


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


class WasteSplit(NamedTuple):
    """Token slots by what they are for; the parts add up to the pool."""

    used: int
    reserved: int
    internal: int
    external: int
    free: int

    @property
    def total(self) -> int:
        """All slots of the pool."""
        return sum(self)

    def percent(self) -> tuple[float, float, float, float, float]:
        """The five parts as percentages of the pool."""
        used, reserved, internal, external, free = (100 * part / self.total for part in self)
        return used, reserved, internal, external, free


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
        later = min(final, promised)
        used += written
        reserved += max(0, later - written)
        internal += promised - max(written, later)
    free = num_free if useful else 0
    return WasteSplit(used, reserved, internal, num_slots - used - reserved - internal - free, free)
