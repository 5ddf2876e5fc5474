"""How long blocks kept what was put into them, and how that ended.

A life begins when a free block is taken (``Block.born``), goes on while the block is held or cached, by whomever,
and ends when it is free again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pagedviz.events import AnyEvent, BlockEvicted, BlockFreed, PrefixCacheReset
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import Block, State

if TYPE_CHECKING:
    from pagedviz.trace.trace import Trace

ENDINGS = ("freed", "evicted", "cached", "held")
"""``freed``: nobody had it, and its content was given up; ``evicted``: cached content made room for other;
``cached`` and ``held``: it was still there when the trace ended, without or with a holder."""


class Lifetime(NamedTuple):
    """One life of a block: ``steps`` from its first to its last, 0 if it began and ended in one."""

    block: int
    born: int
    steps: int
    ending: str


def block_lifetimes(trace: Trace, tier: str = "device") -> list[Lifetime]:
    """The lives of a tier's blocks, in the order in which they ended; those that had not come last.

    Blocks that were taken before the trace began are in it from the step that took them on.

    Raises:
        TraceFormatError: an event contradicts what came before.
    """
    lives: list[Lifetime] = []

    def end(state: State, block: int, found: Block, ending: str) -> None:
        lives.append(Lifetime(block, found.born, state.step - found.born, ending))

    def look(state: State, event: AnyEvent) -> None:
        match event:
            case BlockFreed() | BlockEvicted() if event.tier == tier:
                ending = "freed" if isinstance(event, BlockFreed) else "evicted"
                end(state, event.block, state.blocks[tier][event.block], ending)
            case PrefixCacheReset():
                for block, found in state.blocks.get(tier, {}).items():
                    if not found.holders:
                        end(state, block, found, "freed")
            case _:
                pass

    state = trace.start.copy()
    for batch in trace.batches:
        apply_batch(state, batch, look)
    for block, found in sorted(state.blocks.get(tier, {}).items()):
        end(state, block, found, "held" if found.holders else "cached")
    return lives
