"""What events say about cached blocks, and about content that moves between the tiers."""

from __future__ import annotations

from msgspec.structs import replace

from pagedviz.events import (
    BlockCached,
    BlockEvicted,
    PrefixCacheReset,
    PrefixHit,
    PrefixMissed,
    SwappedIn,
    SwappedOut,
)
from pagedviz.trace.rules import Rule, contradiction
from pagedviz.trace.rules.blocks import check_id
from pagedviz.trace.state import Block, Eviction, State


def _cache(state: State, event: BlockCached) -> None:
    blocks = state.blocks.setdefault(event.tier, {})
    check_id(state, event.tier, event.block)
    block = blocks.get(event.block) or Block(event.group, (), state.step)
    if block.holders:
        contradiction(f"block {event.block} is cached while somebody has it")
    blocks[event.block] = replace(block, hash=event.hash, cached=state.step)


def _evict(state: State, event: BlockEvicted) -> None:
    if state.blocks[event.tier][event.block].holders:
        contradiction(f"block {event.block} is evicted while somebody has it")
    del state.blocks[event.tier][event.block]
    state.evicted.setdefault(event.tier, {})[event.block] = Eviction(state.step, event.policy, event.why)


def _hit(state: State, event: PrefixHit) -> None:
    sequence = state.sequences[event.sequence]
    if sequence.status == "finished":
        contradiction(f"sequence {event.sequence} has finished")
    if not sequence.computed <= event.tokens < len(sequence.tokens):
        contradiction(f"{event.tokens} of {len(sequence.tokens)} tokens are found, {sequence.computed} are there")
    sequence.computed = event.tokens
    if not event.resumed:
        state.counters.hit_tokens += event.tokens


def _miss(state: State, event: PrefixMissed) -> None:
    if not event.resumed:
        state.counters.missed_tokens += event.tokens


def _reset(state: State, event: PrefixCacheReset) -> None:
    cached = 0
    for tier, blocks in state.blocks.items():
        kept = {number: replace(block, hash="") for number, block in blocks.items() if block.holders}
        cached += len(blocks) - len(kept)
        state.blocks[tier] = kept
    if cached != event.blocks:
        contradiction(f"{cached} blocks were cached, not {event.blocks}")
    state.counters.freed += cached


def _swap_out(state: State, event: SwappedOut) -> None:
    _move(state, "device", "host", event)
    state.counters.swapped_out += len(event.pairs)


def _swap_in(state: State, event: SwappedIn) -> None:
    _move(state, "host", "device", event)
    state.counters.swapped_in += len(event.pairs)


def _move(state: State, source_tier: str, target_tier: str, event: SwappedOut | SwappedIn) -> None:
    sources, targets = state.blocks[source_tier], state.blocks[target_tier]
    for source, target in event.pairs:
        targets[target] = replace(targets[target], hash=sources[source].hash, moved_from=source)
    state.counters.swapped_bytes += event.num_bytes
    state.counters.swap_us += event.duration_us


RULES: dict[type, Rule] = {
    BlockCached: _cache,
    BlockEvicted: _evict,
    PrefixHit: _hit,
    PrefixMissed: _miss,
    PrefixCacheReset: _reset,
    SwappedOut: _swap_out,
    SwappedIn: _swap_in,
}
