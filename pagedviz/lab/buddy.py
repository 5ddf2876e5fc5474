"""The buddy allocator: contiguous memory in powers of two, as the paper assumes for Orca. Knows sizes only.

A pool whose size is no power of two is cut into powers of two, the largest first; these never merge.
"""

from __future__ import annotations


class BuddyAllocator:
    """Hands out blocks of 2^k slots, each at a multiple of its size.

    Of the blocks that are large enough it takes the smallest, at the lowest address, and halves it until it
    fits. A block that comes back merges with its buddy, the other half, as often as that is free too.
    """

    def __init__(self, num_slots: int) -> None:
        self.num_slots = num_slots
        self.num_free = num_slots
        self._free: list[set[int]] = [set() for _ in range(num_slots.bit_length())]
        """Addresses of free blocks, by the logarithm of their size."""
        self._order: dict[int, int] = {}
        address = 0
        for order in reversed(range(num_slots.bit_length())):
            if num_slots >> order & 1:
                self._free[order].add(address)
                address += 1 << order

    @staticmethod
    def rounded(size: int) -> int:
        """The size of the block that holds ``size`` slots."""
        return 1 << _order(size)

    def can_allocate(self, size: int) -> bool:
        """Is there a block for ``size`` slots?"""
        return any(self._free[_order(size) :])

    def allocate(self, size: int) -> int:
        """Take a block for ``size`` slots and return its address. ``can_allocate`` has said that there is one."""
        wanted = _order(size)
        order = next(order for order in range(wanted, len(self._free)) if self._free[order])
        address = min(self._free[order])
        self._free[order].remove(address)
        while order > wanted:
            order -= 1
            self._free[order].add(address + (1 << order))
        self._order[address] = order
        self.num_free -= 1 << order
        return address

    def release(self, address: int) -> None:
        """Give the block at this address back."""
        order = self._order.pop(address)
        self.num_free += 1 << order
        while (buddy := address ^ (1 << order)) in self._free[order]:
            self._free[order].remove(buddy)
            address = min(address, buddy)
            order += 1
        self._free[order].add(address)


def _order(size: int) -> int:
    return max(0, size - 1).bit_length()
