"""The state of memory in words: one line for a notebook without pictures, a few for the command line."""

from __future__ import annotations

from collections import Counter

from pagedviz.events.codec import EngineInfo
from pagedviz.figures import words
from pagedviz.figures.theme import theme
from pagedviz.trace import State


def summary(state: State, info: EngineInfo) -> str:
    """One line: model, step, requests, blocks."""
    held, blocks = len(state.blocks.get("device", {})), state.num_blocks.get("device", 0)
    return (
        f"{words.plain(info.model)}, step {state.step:,}: {_requests(state)}; "
        f"{held:,} of {words.plural(blocks, 'block')} in use on the {theme().tier('device', info)}"
    )


def memory_summary(state: State, info: EngineInfo) -> str:
    """Several lines: how the slots of every tier are used, and what happened on the way there."""
    lines = [summary(state, info)]
    for tier, blocks in state.num_blocks.items():
        if blocks > 0:
            use = state.memory(tier)
            total = use.total
            parts = ", ".join(
                f"{slots:,} {name} ({words.percent(slots, total)})"
                for slots, name in ((use.used, "used"), (use.internal, "wasted"), (use.free, "free"))
            )
            room = words.size(blocks * info.bytes_per_block)
            lines.append(f"{theme().tier(tier, info)}: {total:,} token slots in {room}: {parts}")
    counters = state.counters
    lines.append(
        f"tokens: {counters.prefill_tokens:,} of prompts computed, {counters.decode_tokens:,} decoded, "
        f"one at a time"
    )
    lines.append(
        f"blocks: {counters.allocated:,} allocated, {counters.filled:,} filled, {counters.shared:,} shared, "
        f"{counters.copied:,} copied on write, {counters.freed:,} freed"
    )
    lines.append(f"requests: {counters.finished:,} finished, {words.plural(counters.preempted, 'preemption')}")
    return "\n".join(lines)


def _requests(state: State) -> str:
    counts = Counter(request.status for request in state.requests.values())
    parts = [
        f"{counts[status]:,} {status}"
        for status in ("running", "waiting", "preempted", "finished")
        if counts[status]
    ]
    return "requests: " + ", ".join(parts) if parts else "no requests"
