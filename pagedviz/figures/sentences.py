"""A block in a sentence or two, for tooltips: who has it, how full it is, where its content came from and went."""

from __future__ import annotations

from pagedviz.figures import words
from pagedviz.figures.theme import theme
from pagedviz.trace import Block, State


def describe(state: State, tier: str, number: int) -> str:
    """The block, whether somebody has it, it is cached, or it is free; and its eviction, if that is news."""
    block = state.block(number, tier)
    name = f"Block {number} of the {tier}"
    if block is None:
        said = f"{name} is free"
    elif not block.holders:
        since = f" since step {block.cached}" if block.cached >= 0 else ""
        said = f"{name}: cached; nobody has it{since}, its content is kept{_origin(tier, block)}"
    else:
        named = [f"{words.letter(sequence)} (its block {logical})" for sequence, logical in block.holders[:4]]
        if len(block.holders) > len(named):
            named.append(f"{len(block.holders) - len(named)} more")
        slots = words.plural(state.block_size, "slot")
        said = f"{name}: {' and '.join(named)}; {state.fill(number, tier)} of {slots} filled{_origin(tier, block)}"
    gone = words.evicted(state, tier, number, theme().copied_steps)
    if gone is None:
        return said
    why = f": {words.plain(gone.why, 120)}" if gone.why else ""
    return f"{said}. What was cached in it was evicted in step {gone.step} by {words.plain(gone.policy, 40)}{why}"


def _origin(tier: str, block: Block) -> str:
    """The step in which it was taken, and the block that its content came from then."""
    if block.moved_from >= 0:
        other = "host" if tier == "device" else "device"
        return f"; from block {block.moved_from} of the {other} in step {block.born}"
    copied = f", copied from {block.copied_from}" if block.copied_from >= 0 else ""
    return f"; allocated in step {block.born}{copied}"
