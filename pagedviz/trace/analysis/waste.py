"""Where a tier's token slots go: the paper's split into used, reserved, internal, external and free.

After section 3.1 and figure 2 of the PagedAttention paper, by one rule for every allocator:

* used: the slot holds K and V of a token;
* reserved: it is empty, set aside for a request that will really come to use it;
* internal: it is set aside for a request that will never use it (over-provisioning);
* external: nobody was promised it, and nobody can have it. Figure 2 calls this "external and others": what an
  allocator rounds up, slots too few to be handed out, and what is free but of no use to the request next in line;
* free: the rest, which the next request in line can have, or for which nobody waits.

By that rule the end of a paged sequence's last block is reserved as far as the sequence will grow into it, and
internal beyond. It knows nothing of how an allocator works, nor of blocks.
"""

from __future__ import annotations

from typing import NamedTuple


class WasteSplit(NamedTuple):
    """Token slots by what they are for; the parts add up to the tier."""

    used: int
    reserved: int
    internal: int
    external: int
    free: int

    @property
    def total(self) -> int:
        """All slots of the tier."""
        return sum(self)

    def percent(self) -> tuple[float, float, float, float, float]:
        """The five parts as percentages of the tier."""
        used, reserved, internal, external, free = (100 * part / self.total for part in self)
        return used, reserved, internal, external, free


def empty_slots(written: int, final: int, promised: int) -> tuple[int, int]:
    """How many slots are reserved, and how many are internal waste, of those set aside for one request.

    Args:
        written: slots that hold K and V of its tokens.
        final: how many it will have written in the end.
        promised: slots set aside for it.
    """
    later = min(final, promised)
    return max(0, later - written), promised - max(written, later)
