"""What events mean: ``apply`` folds one event into a state. Its JavaScript twin is ``widgets/static/state.js``.

The only place in Python that knows; figures, audit and time travel all stand on it. It changes the state in
place, because a copy per event would cost more than the engine's step (``State.copy`` gives keyframes).
"""

from __future__ import annotations

from typing import NoReturn

from typing_extensions import assert_never

from pagedviz.errors import TraceFormatError
from pagedviz.events import (
    AnyEvent,
    Batch,
    BlockAllocated,
    BlockCopied,
    BlockFilled,
    BlockFreed,
    BlockReleased,
    BlockShared,
    KernelLaunched,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceFinished,
    SequenceForked,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.trace.state import Block, Request, Sequence, State


def apply_batch(state: State, batch: Batch) -> None:
    """Fold a batch into the state.

    Raises:
        TraceFormatError: an event is missing, or contradicts the state; the message gives its number.
    """
    if batch.seq != state.seq:
        raise TraceFormatError(f"events {state.seq} to {batch.seq - 1} are missing")
    state.step, state.t_us = batch.step, batch.t_us
    for event in batch.events:
        try:
            apply(state, event)
        except (KeyError, IndexError, ValueError) as error:
            reason = f"it names {error} that does not exist" if isinstance(error, KeyError) else error
            raise TraceFormatError(
                f"event {state.seq} ({event}) contradicts what came before: {reason}"
            ) from error
        state.seq += 1


def apply(state: State, event: AnyEvent) -> None:  # noqa: C901, PLR0912 - one case per kind is the point
    """Fold one event into the state."""
    match event:
        case StepStarted():
            state.scheduled = list(event.scheduled)
        case StepFinished():
            _finish_step(state, event)
        case KernelLaunched():
            pass
        case RequestAdded():
            _add_request(state, event)
        case RequestScheduled():
            _set_status(state, event.request, "running", "waiting", "running")
        case RequestPreempted():
            _set_status(state, event.request, "preempted", "running", "waiting")
            request = state.requests[event.request]
            request.preemptions += 1
            state.counters.preempted += 1
            for sequence in request.sequences:
                state.sequences[sequence].computed = 0
        case RequestFinished():
            request = state.requests[event.request]
            request.status, request.reason = "finished", event.reason
            state.counters.finished += 1
        case SequenceForked():
            child = state.sequences[event.child]
            child.computed, child.status = event.num_tokens, "running"
        case SequenceFinished():
            state.sequences[event.sequence].status = "finished"
        case TokenAppended():
            _append_token(state, event)
        case BlockAllocated():
            _allocate(state, event)
        case BlockFilled():
            state.blocks[event.tier][event.block].hash = event.hash
            state.counters.filled += 1
        case BlockShared():
            _share(state, event)
        case BlockCopied():
            state.blocks[event.tier][event.target].copied_from = event.source
            state.counters.copied += 1
        case BlockReleased():
            _release(state, event)
        case BlockFreed():
            if state.blocks[event.tier][event.block].holders:
                _contradiction(f"block {event.block} is freed while somebody has it")
            del state.blocks[event.tier][event.block]
            state.counters.freed += 1
        case _:
            assert_never(event)


def _contradiction(reason: str) -> NoReturn:
    raise ValueError(reason)


def _finish_step(state: State, event: StepFinished) -> None:
    for sequence, start, count in state.scheduled:
        running = state.sequences[sequence]
        if running.status == "running":
            running.computed = start + count
    state.counters.prefill_tokens += event.prefill_tokens
    state.counters.decode_tokens += event.decode_tokens


def _add_request(state: State, event: RequestAdded) -> None:
    prompt = len(event.prompt)
    state.requests[event.request] = Request(event.request, list(event.sequences), prompt, event.max_tokens)
    for sequence in event.sequences:
        state.sequences[sequence] = Sequence(
            sequence, event.request, prompt, list(event.prompt), list(event.texts) or [""] * prompt
        )


def _set_status(state: State, name: str, status: str, before: str, after: str) -> None:
    """Move a request to ``status``, and its first unfinished sequence, or all, from ``before`` to ``after``."""
    request = state.requests[name]
    request.status = status
    alive = [s for s in request.sequences if state.sequences[s].status == before]
    # A request begins with one sequence; the others fork from it when the prompt is in memory.
    for sequence in alive[:1] if after == "running" else alive:
        state.sequences[sequence].status = after


def _append_token(state: State, event: TokenAppended) -> None:
    sequence = state.sequences[event.sequence]
    if event.position != len(sequence.tokens):
        _contradiction(f"position {event.position} follows {len(sequence.tokens)} tokens")
    sequence.tokens.append(event.token)
    sequence.texts.append(event.text)


def _allocate(state: State, event: BlockAllocated) -> None:
    held = state.blocks.setdefault(event.tier, {})
    if event.block in held:
        _contradiction(f"block {event.block} is handed out twice")
    if not 0 <= event.block < state.num_blocks[event.tier]:
        _contradiction(
            f"block {event.block} is outside the {event.tier} pool of {state.num_blocks[event.tier]}"
        )
    held[event.block] = Block(event.group, [(event.sequence, event.logical)], state.step)
    _set_entry(state, event)
    state.counters.allocated += 1


def _share(state: State, event: BlockShared) -> None:
    block = state.blocks[event.tier][event.block]
    block.holders.append((event.sequence, event.logical))
    if len(block.holders) != event.refcount:
        _contradiction(f"block {event.block} has {len(block.holders)} holders, not {event.refcount}")
    _set_entry(state, event)
    state.counters.shared += 1


def _set_entry(state: State, event: BlockAllocated | BlockShared) -> None:
    table = state.sequences[event.sequence].tables.setdefault(event.group, [])
    entry = (event.tier, event.block)
    if event.logical == len(table):
        table.append(entry)
    else:
        table[event.logical] = entry


def _release(state: State, event: BlockReleased) -> None:
    block = state.blocks[event.tier][event.block]
    block.holders.remove((event.sequence, event.logical))
    if len(block.holders) != event.refcount:
        _contradiction(f"block {event.block} has {len(block.holders)} holders, not {event.refcount}")
    table = state.sequences[event.sequence].tables[event.group]
    # After copy-on-write the entry already names the copy. Otherwise tables shrink from their end.
    if table[event.logical] == (event.tier, event.block):
        if event.logical != len(table) - 1:
            _contradiction(f"entry {event.logical} of {len(table)} is dropped from the middle of a table")
        table.pop()
