"""The state of memory in words: one line for a notebook without pictures, a few for the command line."""

from __future__ import annotations

from collections import Counter

from pagedviz.events.codec import EngineInfo
from pagedviz.figures import words
from pagedviz.figures.theme import theme
from pagedviz.trace import State
from pagedviz.trace.analysis.computed import Computed


def summary(state: State, info: EngineInfo) -> str:
    """One line: model, step, requests, blocks."""
    return (
        f"{words.plain(info.name)}, step {state.step:,}: {_requests(state)}; "
        f"{blocks_in_use(state, 'device')} on the {theme().tier('device', info)}"
    )


def blocks_in_use(state: State, tier: str) -> str:
    """``12 of 24 in use, 3 cached``."""
    blocks = state.blocks.get(tier, {})
    held = sum(bool(block.holders) for block in blocks.values())
    cached = f", {len(blocks) - held:,} cached" if len(blocks) > held else ""
    return f"{held:,} of {state.num_blocks.get(tier, 0):,} in use{cached}"


def memory_summary(state: State, info: EngineInfo, computed: Computed | None = None) -> str:
    """Several lines: how the slots of every tier are used, and what happened on the way there.

    ``computed``: what was computed for the first time and what again, where preemptions gave K and V up.
    """
    lines = [summary(state, info)]
    for tier, blocks in state.num_blocks.items():
        if blocks > 0:
            use = state.memory(tier)
            named = [(use.used, "used"), (use.cached, "cached"), (use.internal, "waste"), (use.free, "free")]
            parts = ", ".join(
                f"{slots:,} {name} ({words.percent(slots, use.total)})"
                for slots, name in named
                if slots or name != "cached"
            )
            room = "" if info.bytes_per_block is None else f" in {words.size(blocks * info.bytes_per_block)}"
            lines.append(f"{theme().tier(tier, info)}: {use.total:,} token slots{room}: {parts}")
    counters = state.counters
    lines.append(_tokens(state, computed))
    lines.append(
        f"blocks: {counters.allocated:,} allocated, {counters.filled:,} filled, {counters.shared:,} shared, "
        f"{counters.copied:,} copied on write, {counters.freed:,} freed"
    )
    lost = f", {words.plural(counters.lost_tokens, 'token')} lost" if counters.lost_tokens else ""
    preempted = words.plural(counters.preempted, "preemption")
    lines.append(f"requests: {counters.finished:,} finished, {preempted}{lost}")
    return "\n".join([*lines, *_hierarchy(state, computed)])


def _tokens(state: State, computed: Computed | None) -> str:
    """What was computed. The counters alone do not tell prompts from what is computed again."""
    if computed is not None:
        return (
            f"tokens: {computed.prompts:,} of prompts computed, {computed.answers:,} of answers, and "
            f"{computed.again:,} of both computed again after preemptions"
        )
    counters = state.counters
    again = " or computed again" if counters.lost_tokens else " computed"
    return (
        f"tokens: {counters.prefill_tokens:,} of prompts{again}, {counters.decode_tokens:,} decoded, one at a time"
    )


def _hierarchy(state: State, computed: Computed | None) -> list[str]:
    """What the prefix cache and the host tier did; nothing of what did nothing."""
    counters, lines = state.counters, []
    looked = counters.hit_tokens + counters.missed_tokens
    if looked or counters.cached or counters.evicted:
        found = computed.found_again if computed else 0
        again = f"{words.plural(found, 'token')} found again by resumed ones, " if found else ""
        lines.append(
            f"prefix cache: {hit_rate(state)} of {words.plural(looked, 'token')} of new requests found, {again}"
            f"{words.plural(counters.evicted, 'block')} evicted"
        )
    if counters.swapped_out or counters.swapped_in:
        lines.append(
            f"swaps: {words.plural(counters.swapped_out, 'block')} out, {counters.swapped_in:,} in, "
            f"{words.size(counters.swapped_bytes)} copied"
        )
    return lines


def hit_rate(state: State) -> str:
    """How much was found of what new requests looked for in the prefix cache."""
    counters = state.counters
    return words.percent(counters.hit_tokens, counters.hit_tokens + counters.missed_tokens)


def _requests(state: State) -> str:
    counts = Counter(request.status for request in state.requests.values())
    parts = [
        f"{counts[status]:,} {status}"
        for status in ("running", "waiting", "preempted", "swapped", "finished")
        if counts[status]
    ]
    return "requests: " + ", ".join(parts) if parts else "no requests"
