"""What events say about blocks and who has them."""

from __future__ import annotations

from msgspec.structs import replace

from pagedviz.events import (
    BlockAllocated,
    BlockCopied,
    BlockFilled,
    BlockFreed,
    BlockReleased,
    BlockShared,
)
from pagedviz.trace.rules import Rule, contradiction
from pagedviz.trace.state import Block, State


def check_id(state: State, tier: str, block: int) -> None:
    """Raise unless the tier has a block of that id."""
    if not 0 <= block < state.num_blocks[tier]:
        contradiction(f"block {block} is outside the {tier} pool of {state.num_blocks[tier]}")


def _allocate(state: State, event: BlockAllocated) -> None:
    held = state.blocks.setdefault(event.tier, {})
    if event.block in held:
        contradiction(f"block {event.block} is handed out twice")
    check_id(state, event.tier, event.block)
    held[event.block] = Block(event.group, ((event.sequence, event.logical),), state.step)
    _set_entry(state, event)


def _fill(state: State, event: BlockFilled) -> None:
    state.blocks[event.tier][event.block] = replace(_held(state, event), hash=event.hash)


def _share(state: State, event: BlockShared) -> None:
    block = state.blocks[event.tier][event.block]
    if (event.sequence, event.logical) in block.holders:
        contradiction(f"sequence {event.sequence} already has block {event.block}")
    _set_holders(state, event, (*block.holders, (event.sequence, event.logical)))
    _set_entry(state, event)


def _copy(state: State, event: BlockCopied) -> None:
    held = state.blocks[event.tier]
    if event.source not in held:
        contradiction(f"block {event.source} is copied while nobody has it")
    held[event.target] = replace(held[event.target], copied_from=event.source)


def _release(state: State, event: BlockReleased) -> None:
    gone = (event.sequence, event.logical)
    _set_holders(state, event, tuple(h for h in _held(state, event).holders if h != gone))
    table = state.sequences[event.sequence].tables[event.group]
    # After a copy or a swap the entry already names another block.
    if table[event.logical] == (event.tier, event.block):
        table[event.logical] = None
        while table and table[-1] is None:
            table.pop()


def _free(state: State, event: BlockFreed) -> None:
    if state.blocks[event.tier][event.block].holders:
        contradiction(f"block {event.block} is freed while somebody has it")
    del state.blocks[event.tier][event.block]


def _held(state: State, event: BlockFilled | BlockReleased) -> Block:
    """The block, which the sequence must have as that entry."""
    block = state.blocks[event.tier][event.block]
    if (event.sequence, event.logical) not in block.holders:
        contradiction(f"block {event.block} is not entry {event.logical} of sequence {event.sequence}")
    return block


def _set_entry(state: State, event: BlockAllocated | BlockShared) -> None:
    sequence = state.sequences[event.sequence]
    if sequence.status == "finished":
        contradiction(f"sequence {event.sequence} has finished")
    table = sequence.tables.setdefault(event.group, [])
    # What is before it and was not told is absent, as far as the sequence has tokens: no number makes a table long.
    gap = event.logical - len(table)
    if event.logical < 0 or (gap > 0 and event.logical * state.block_size > len(sequence.tokens)):
        contradiction(f"entry {event.logical} is set in a table of {len(table)}")
    table += [None] * (gap + 1)
    table[event.logical] = (event.tier, event.block)


def _set_holders(state: State, event: BlockShared | BlockReleased, holders: tuple[tuple[int, int], ...]) -> None:
    if len(holders) != event.refcount:
        contradiction(f"block {event.block} has {len(holders)} holders, not {event.refcount}")
    held = state.blocks[event.tier]
    held[event.block] = replace(held[event.block], holders=holders, cached=-1)


RULES: dict[type, Rule] = {
    BlockAllocated: _allocate,
    BlockFilled: _fill,
    BlockShared: _share,
    BlockCopied: _copy,
    BlockReleased: _release,
    BlockFreed: _free,
}
