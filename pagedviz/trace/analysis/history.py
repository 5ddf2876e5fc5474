"""How memory was used over the steps of a trace: one point per step, ready to be drawn.

Only the blocks that a batch touched are counted again, so a long run with a large pool stays quick. What
"used" means is decided by ``State.fill``; the two are held together by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pagedviz.events import (
    Batch,
    BlockAllocated,
    BlockCached,
    BlockCopied,
    BlockEvicted,
    BlockFreed,
    BlockReleased,
    BlockShared,
    PrefixHit,
    RequestPreempted,
    SequenceForked,
    StepFinished,
    SwappedIn,
    SwappedOut,
)
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import MemoryUse, State

if TYPE_CHECKING:
    from pagedviz.trace.trace import Trace


class MemoryPoint(NamedTuple):
    """Memory of a tier when a step was over, and how often in that step what happened.

    ``preempted`` counts requests, ``copied`` and ``evicted`` blocks of the tier, ``swapped_out`` and ``swapped_in``
    blocks that left and entered the device.
    """

    step: int
    use: MemoryUse
    preempted: int = 0
    copied: int = 0
    evicted: int = 0
    swapped_out: int = 0
    swapped_in: int = 0

    @property
    def marked(self) -> bool:
        """Whether anything but ordinary work happened."""
        return any(self[2:])


class Meter:
    """The memory use of a tier, kept up to date: ``after(batch)`` when the state has had the batch."""

    def __init__(self, state: State, tier: str) -> None:
        self._state, self._tier = state, tier
        blocks = state.blocks.setdefault(tier, {})
        self._fills = {block: state.fill(block, tier) for block, found in blocks.items() if found.holders}
        self._used = sum(self._fills.values())

    def after(self, batch: Batch) -> MemoryUse:
        """How the tier's token slots are used after the batch."""
        state, tier, fills = self._state, self._tier, self._fills
        blocks = state.blocks.setdefault(tier, {})
        for block in set(_touched(state, batch, tier)):
            self._used -= fills.pop(block, 0)
            if block in blocks and blocks[block].holders:
                fills[block] = state.fill(block, tier)
                self._used += fills[block]
        size = state.block_size
        cached = (len(blocks) - len(fills)) * size
        return MemoryUse(self._used, cached, len(fills) * size - self._used, state.num_free(tier) * size)


def memory_history(trace: Trace, tier: str = "device", until: int | None = None) -> list[MemoryPoint]:
    """One point for the start and one for every step in which anything happened, in order; none after ``until``.

    Raises:
        TraceFormatError: an event contradicts what came before.
    """
    state = trace.start.copy()
    meter = Meter(state, tier)
    points = [MemoryPoint(state.step, state.memory(tier))]
    for batch in trace.batches:
        if until is not None and batch.step > until:
            break
        apply_batch(state, batch)
        use, counts = meter.after(batch), _counts(batch, tier)
        if points[-1].step == batch.step:
            before = points.pop()
            counts = [a + b for a, b in zip(counts, before[2:], strict=True)]
        points.append(MemoryPoint(batch.step, use, *counts))
    return points


_COUNTED: tuple[tuple[type, Callable[[Any, str], int]], ...] = (
    (RequestPreempted, lambda event, tier: 1),  # noqa: ARG005 - one shape for all
    (BlockCopied, lambda event, tier: event.tier == tier),
    (BlockEvicted, lambda event, tier: event.tier == tier),
    (SwappedOut, lambda event, tier: len(event.pairs)),  # noqa: ARG005
    (SwappedIn, lambda event, tier: len(event.pairs)),  # noqa: ARG005
)


def _counts(batch: Batch, tier: str) -> list[int]:
    """The counts of a point, in its order."""
    return [
        sum(count(event, tier) for event in batch.events if isinstance(event, kind)) for kind, count in _COUNTED
    ]


def _touched(state: State, batch: Batch, tier: str) -> Iterator[int]:
    """The blocks of the tier whose fill the batch may have changed; ``state`` is the one after it."""
    for event in batch.events:
        match event:
            case BlockAllocated() | BlockShared() | BlockReleased() | BlockFreed() | BlockCached():
                if event.tier == tier:
                    yield event.block
            case SequenceForked():
                yield from _entries(state, event.child, 0, event.num_tokens, tier)
            case PrefixHit():
                yield from _entries(state, event.sequence, 0, event.tokens, tier)
            case RequestPreempted():
                for sequence in state.requests[event.request].sequences:
                    yield from _entries(state, sequence, 0, len(state.sequences[sequence].tokens), tier)
            case StepFinished():
                for sequence, start, count in state.scheduled:
                    yield from _entries(state, sequence, start, start + count, tier)
            case _:
                pass


def _entries(state: State, sequence: int, start: int, stop: int, tier: str) -> Iterator[int]:
    """The blocks of the tier that hold positions ``start`` to ``stop`` of a sequence, if it still exists."""
    if sequence not in state.sequences:
        return
    first, last = start // state.block_size, -(-stop // state.block_size)
    for table in state.sequences[sequence].tables.values():
        yield from (entry[1] for entry in table[first:last] if entry is not None and entry[0] == tier)


def last_step_in_use(trace: Trace, tier: str = "device") -> int:
    """The last step at whose end somebody had blocks, or the last of all: after a run there is little to see."""
    used = [point.step for point in memory_history(trace, tier) if point.use.used]
    return used[-1] if used else trace.last_step
