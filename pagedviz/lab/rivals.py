"""Four ways to give requests memory: three that reserve it in one piece beforehand, and paging.

The three are the paper's baselines (section 6.1): Orca on a buddy allocator, which reserves the model's maximum
("max"), the output rounded up to a power of two ("pow2", so at most twice what is needed) or exactly what is
needed ("oracle", which nobody can know). None of them promises more than the model's maximum, since no request
can use more; the paper does not say whether its Pow2 did. Paging is this project's own ``BlockManager``. Nothing
is shared between requests here.

Who is served when is decided in ``serving``; what a slot counts as, in ``waste``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pagedviz.errors import ConfigError
from pagedviz.lab.buddy import BuddyAllocator
from pagedviz.lab.holdings import Holding
from pagedviz.lab.workloads import Request
from pagedviz.memory import BlockManager


class Rival(Protocol):
    """An allocator of token slots. Requests are told apart by a key."""

    @property
    def num_slots(self) -> int:
        """Slots of its pool."""

    @property
    def num_free(self) -> int:
        """Slots that it could still hand out to somebody."""

    def can_write(self, key: int, request: Request, count: int) -> bool:
        """Is there room for the first ``count`` tokens of a request, be it here already or not?"""

    def write(self, key: int, request: Request, count: int) -> Holding:
        """Make that room, and say what the request holds now. ``can_write`` has said yes."""

    def release(self, key: int) -> None:
        """Take back everything that the request holds."""

    def explain(self) -> str:
        """How it decides, in a sentence."""


Reserve = Callable[[Request, int], int]
"""(request, max_model_len) -> slots to reserve."""


def reserve_max(request: Request, max_model_len: int) -> int:  # noqa: ARG001 - one signature for all
    """As many slots as any request may use."""
    return max_model_len


def reserve_pow2(request: Request, max_model_len: int) -> int:
    """The input, and the output rounded up to a power of two: 32 positions for 25 tokens."""
    # Without the limit an output of 1,100 tokens would take 4,096 slots: Pow2 would use 23 % instead of 28.5 %.
    return min(max_model_len, request.input_length + (1 << (request.output_length - 1).bit_length()))


def reserve_oracle(request: Request, max_model_len: int) -> int:
    """What the request will use."""
    return min(max_model_len, request.slots)


class Contiguous:
    """Every request gets one piece when it is admitted, from a buddy allocator, and keeps it to its end."""

    def __init__(self, num_slots: int, max_model_len: int, reserve: Reserve, reserves: str) -> None:
        """``reserves`` says in a few words what ``reserve`` answers."""
        if num_slots < 1 or max_model_len < 1:
            raise ConfigError(
                f"a pool of {num_slots} slots for up to {max_model_len} tokens: both must be 1 or more"
            )
        self._pool = BuddyAllocator(num_slots)
        self._max_model_len = max_model_len
        self._reserve = reserve
        self._reserves = reserves
        self._pieces: dict[int, tuple[int, Holding]] = {}

    @property
    def num_slots(self) -> int:
        """Slots of the pool."""
        return self._pool.num_slots

    @property
    def num_free(self) -> int:
        """Slots in free pieces."""
        return self._pool.num_free

    def can_write(self, key: int, request: Request, count: int) -> bool:
        """Inside its piece a request always can; a new one needs a piece that is large enough."""
        if key in self._pieces:
            return count <= self._pieces[key][1].promised
        size = self._reserve(request, self._max_model_len)
        return count <= size and self._pool.can_allocate(size)

    def write(self, key: int, request: Request, count: int) -> Holding:  # noqa: ARG002 - nothing is taken later
        """A new request takes its piece."""
        if key not in self._pieces:
            size = self._reserve(request, self._max_model_len)
            holding = Holding(size, self._pool.rounded(size))
            self._pieces[key] = self._pool.allocate(size), holding
        return self._pieces[key][1]

    def release(self, key: int) -> None:
        """Give the piece back."""
        self._pool.release(self._pieces.pop(key)[0])

    def explain(self) -> str:
        """How it decides, in a sentence."""
        return f"Reserves in one piece, when a request is admitted: {self._reserves}."


class Paged:
    """Blocks as tokens come, from the engine's own ``BlockManager``."""

    def __init__(self, num_slots: int, block_size: int) -> None:
        if not 1 <= block_size <= num_slots:
            raise ConfigError(f"block size {block_size} in a pool of {num_slots} slots")
        self.num_slots = num_slots
        self._size = block_size
        self.manager = BlockManager(num_slots // block_size, block_size)
        self._written: dict[int, int] = {}

    @property
    def num_free(self) -> int:
        """Slots in free blocks."""
        return self.manager.dry_run().num_free * self._size

    def _blocks(self, count: int) -> int:
        return -(-count // self._size)

    def can_write(self, key: int, request: Request, count: int) -> bool:  # noqa: ARG002 - it looks at no length
        """Are there enough free blocks? Inside its last block a request always can."""
        before = self._written.get(key, 0)
        if self._blocks(count) <= self._blocks(before):
            return True
        dry_run = self.manager.dry_run()
        dry_run.write(key, before, count - before)
        return dry_run.num_free >= 0

    def write(self, key: int, request: Request, count: int) -> Holding:  # noqa: ARG002 - it looks at no length
        """Take the blocks that are missing, as the engine does."""
        before = self._written.get(key, 0)
        slots = self._blocks(count) * self._size
        if slots > self._blocks(before) * self._size:
            self.manager.begin()
            self.manager.write(key, before, count - before, "decode" if before else "prefill")
        self._written[key] = max(before, count)
        return Holding(slots, slots)

    def release(self, key: int) -> None:
        """Give all of its blocks back."""
        self.manager.release(key)
        del self._written[key]

    def explain(self) -> str:
        """How it decides, in a sentence."""
        return f"Takes a block of {self._size} slots when a request's last one is full."


RIVALS: dict[str, Callable[[int, int, int], Rival]] = {
    "max": lambda num_slots, max_model_len, _: Contiguous(
        num_slots, max_model_len, reserve_max, "as many slots as any request may use"
    ),
    "pow2": lambda num_slots, max_model_len, _: Contiguous(
        num_slots,
        max_model_len,
        reserve_pow2,
        "the input, and the output rounded up to a power of two: 32 positions for 25 tokens",
    ),
    "oracle": lambda num_slots, max_model_len, _: Contiguous(
        num_slots, max_model_len, reserve_oracle, "what the request will use"
    ),
    "paged": lambda num_slots, _, block_size: Paged(num_slots, block_size),
}
"""Name -> (slots of the pool, max_model_len, block size) -> allocator."""
