"""How memory was used over the steps of a trace: one point per step, ready to be drawn.

Only the blocks that a batch touched are counted again, so a long run with a large pool stays quick. What
"used" means is decided by ``State.fill``; the two are held together by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pagedviz.events import (
    Batch,
    BlockAllocated,
    BlockCopied,
    BlockFreed,
    BlockReleased,
    BlockShared,
    RequestPreempted,
    SequenceForked,
    StepFinished,
)
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import MemoryUse, State
from pagedviz.trace.trace import Trace


class MemoryPoint(NamedTuple):
    """Memory when a step was over, and how often in it a request was preempted or a block copied."""

    step: int
    use: MemoryUse
    preempted: int
    copied: int


def memory_history(trace: Trace, tier: str = "device") -> list[MemoryPoint]:
    """One point for the start and one for every step in which anything happened, in order.

    Raises:
        TraceFormatError: an event contradicts what came before.
    """
    state = trace.start.copy()
    fills = {block: state.fill(block, tier) for block in state.blocks.get(tier, {})}
    used = sum(fills.values())
    points = [MemoryPoint(state.step, state.memory(tier), 0, 0)]
    for batch in trace.batches:
        apply_batch(state, batch)
        for block in set(_touched(state, batch, tier)):
            used -= fills.pop(block, 0)
            if block in state.blocks[tier]:
                fills[block] = state.fill(block, tier)
                used += fills[block]
        preempted = sum(isinstance(event, RequestPreempted) for event in batch.events)
        copied = sum(isinstance(event, BlockCopied) for event in batch.events)
        if points[-1].step == batch.step:
            before = points.pop()
            preempted, copied = preempted + before.preempted, copied + before.copied
        waste = len(fills) * state.block_size - used
        use = MemoryUse(used, waste, state.num_free(tier) * state.block_size)
        points.append(MemoryPoint(batch.step, use, preempted, copied))
    return points


def _touched(state: State, batch: Batch, tier: str) -> Iterator[int]:
    """The blocks of the tier whose fill the batch may have changed; ``state`` is the one after it."""
    for event in batch.events:
        match event:
            case BlockAllocated() | BlockShared() | BlockReleased() | BlockFreed():
                if event.tier == tier:
                    yield event.block
            case SequenceForked():
                yield from _entries(state, event.child, 0, event.num_tokens, tier)
            case RequestPreempted():
                for sequence in state.requests[event.request].sequences:
                    yield from _entries(state, sequence, 0, len(state.sequences[sequence].tokens), tier)
            case StepFinished():
                for sequence, start, count in state.scheduled:
                    yield from _entries(state, sequence, start, start + count, tier)
            case _:
                pass


def _entries(state: State, sequence: int, start: int, stop: int, tier: str) -> Iterator[int]:
    """The blocks of the tier that hold positions ``start`` to ``stop`` of a sequence."""
    first, last = start // state.block_size, -(-stop // state.block_size)
    for table in state.sequences[sequence].tables.values():
        yield from (block for in_tier, block in table[first:last] if in_tier == tier)


def last_step_in_use(trace: Trace, tier: str = "device") -> int:
    """The last step at whose end somebody had blocks, or the last of all: after a run there is little to see."""
    total = trace.start.num_blocks[tier] * trace.start.block_size
    used = [point.step for point in memory_history(trace, tier) if point.use.free < total]
    return used[-1] if used else trace.last_step
