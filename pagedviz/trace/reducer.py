"""What events mean: ``apply`` folds one event into a state. JavaScript twin: ``widgets/static/state.js``.

The only place in Python that knows; figures, audit and time travel all stand on it. It changes the state in
place, because a copy per event would cost more than the engine's step (``State.copy`` gives keyframes).
"""

from __future__ import annotations

from typing import NoReturn

from msgspec.structs import replace
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
    if batch.seq > state.seq:
        raise TraceFormatError(f"events {state.seq} to {batch.seq - 1} are missing before step {batch.step}")
    if batch.seq < state.seq:
        raise TraceFormatError(f"event {batch.seq} of step {batch.step} comes twice")
    state.step, state.t_us = batch.step, batch.t_us
    for event in batch.events:
        try:
            apply(state, event)
        except (KeyError, IndexError, ValueError) as error:
            reason = f"it names {error}, which does not exist" if isinstance(error, KeyError) else error
            raise TraceFormatError(
                f"event {state.seq} in step {batch.step} contradicts what came before: {reason} ({event})"
            ) from error
        state.seq += 1


def apply(state: State, event: AnyEvent) -> None:  # noqa: C901, PLR0912 - one case per kind is the point
    """Fold one event into the state."""
    match event:
        case TokenAppended():  # first, as the commonest by far
            _append_token(state, event)
        case StepStarted():
            state.scheduled = list(event.scheduled)
        case StepFinished():
            _finish_step(state, event)
        case KernelLaunched():
            pass
        case RequestAdded():
            _add_request(state, event)
        case RequestScheduled():
            _schedule(state, event)
        case RequestPreempted():
            _preempt(state, event)
        case RequestFinished():
            request = state.requests[event.request]
            if request.status == "finished":
                _contradiction(f"request {event.request!r} finishes twice")
            request.status, request.reason = "finished", event.reason
            state.counters.finished += 1
        case SequenceForked():
            _fork(state, event)
        case SequenceFinished():
            sequence = state.sequences[event.sequence]
            if sequence.status == "finished":
                _contradiction(f"sequence {event.sequence} finishes twice")
            sequence.status = "finished"
        case BlockAllocated():
            _allocate(state, event)
        case BlockFilled():
            state.blocks[event.tier][event.block] = replace(_held(state, event), hash=event.hash)
            state.counters.filled += 1
        case BlockShared():
            _share(state, event)
        case BlockCopied():
            _copy(state, event)
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
        if not 0 <= start <= start + count <= len(running.tokens):
            _contradiction(f"{count} tokens from {start} on are computed of {len(running.tokens)}")
        if running.status == "running":
            running.computed = start + count
    state.counters.prefill_tokens += event.prefill_tokens
    state.counters.decode_tokens += event.decode_tokens


def _add_request(state: State, event: RequestAdded) -> None:
    if event.request in state.requests:
        _contradiction(f"request {event.request!r} is added twice")
    texts = event.texts or ("",) * len(event.prompt)
    if len(texts) != len(event.prompt):
        _contradiction(f"{len(event.prompt)} prompt tokens have {len(texts)} texts")
    prompt = len(event.prompt)
    for sequence in event.sequences:
        if sequence in state.sequences:
            _contradiction(f"sequence {sequence} is added twice")
        state.sequences[sequence] = Sequence(sequence, event.request, prompt, list(event.prompt), list(texts))
    state.requests[event.request] = Request(event.request, list(event.sequences), prompt, event.max_tokens)


def _schedule(state: State, event: RequestScheduled) -> None:
    request = state.requests[event.request]
    if request.status not in {"waiting", "preempted"}:
        _contradiction(f"request {event.request!r} is {request.status}, not waiting")
    request.status = "running"
    # A request begins with one sequence; the others fork from it when the prompt is in memory.
    for sequence in request.sequences:
        if state.sequences[sequence].status == "waiting":
            state.sequences[sequence].status = "running"
            break


def _preempt(state: State, event: RequestPreempted) -> None:
    request = state.requests[event.request]
    if request.status != "running":
        _contradiction(f"request {event.request!r} is {request.status}, not running")
    request.status = "preempted"
    request.preemptions += 1
    state.counters.preempted += 1
    for number in request.sequences:
        sequence = state.sequences[number]
        sequence.computed = 0
        if sequence.status == "running":
            sequence.status = "waiting"


def _fork(state: State, event: SequenceForked) -> None:
    parent, child = state.sequences[event.parent], state.sequences[event.child]
    if child.status != "waiting":
        _contradiction(f"sequence {event.child} is {child.status}, not waiting")
    there = min(parent.computed, len(child.tokens))
    if not 0 <= event.num_tokens <= there:
        _contradiction(f"{event.num_tokens} tokens are shared of {there} in memory")
    child.computed, child.status = event.num_tokens, "running"


def _append_token(state: State, event: TokenAppended) -> None:
    sequence = state.sequences[event.sequence]
    if event.position != len(sequence.tokens):
        _contradiction(f"position {event.position} follows {len(sequence.tokens)} tokens")
    if sequence.status == "finished":
        _contradiction(f"sequence {event.sequence} has finished")
    sequence.tokens.append(event.token)
    sequence.texts.append(event.text)


def _allocate(state: State, event: BlockAllocated) -> None:
    pool = state.num_blocks[event.tier]
    held = state.blocks.setdefault(event.tier, {})
    if event.block in held:
        _contradiction(f"block {event.block} is handed out twice")
    if not 0 <= event.block < pool:
        _contradiction(f"block {event.block} is outside the {event.tier} pool of {pool}")
    held[event.block] = Block(event.group, ((event.sequence, event.logical),), state.step)
    _set_entry(state, event)
    state.counters.allocated += 1


def _copy(state: State, event: BlockCopied) -> None:
    held = state.blocks[event.tier]
    if event.source not in held:
        _contradiction(f"block {event.source} is copied while nobody has it")
    held[event.target] = replace(held[event.target], copied_from=event.source)
    state.counters.copied += 1


def _held(state: State, event: BlockFilled | BlockReleased) -> Block:
    """The block, which the sequence must have as that entry."""
    block = state.blocks[event.tier][event.block]
    if (event.sequence, event.logical) not in block.holders:
        _contradiction(f"block {event.block} is not entry {event.logical} of sequence {event.sequence}")
    return block


def _share(state: State, event: BlockShared) -> None:
    block = state.blocks[event.tier][event.block]
    if (event.sequence, event.logical) in block.holders:
        _contradiction(f"sequence {event.sequence} already has block {event.block}")
    _set_holders(state, event, (*block.holders, (event.sequence, event.logical)))
    _set_entry(state, event)
    state.counters.shared += 1


def _release(state: State, event: BlockReleased) -> None:
    gone = (event.sequence, event.logical)
    _set_holders(state, event, tuple(h for h in _held(state, event).holders if h != gone))
    table = state.sequences[event.sequence].tables[event.group]
    # After copy-on-write the entry already names the copy. Otherwise tables shrink from their end.
    if table[event.logical] == (event.tier, event.block):
        if event.logical != len(table) - 1:
            _contradiction(f"entry {event.logical} of {len(table)} is dropped from the middle of a table")
        table.pop()


def _set_entry(state: State, event: BlockAllocated | BlockShared) -> None:
    table = state.sequences[event.sequence].tables.setdefault(event.group, [])
    entry = (event.tier, event.block)
    if event.logical == len(table):
        table.append(entry)
    elif 0 <= event.logical < len(table):
        table[event.logical] = entry
    else:
        _contradiction(f"entry {event.logical} is set in a table of {len(table)}")


def _set_holders(state: State, event: BlockShared | BlockReleased, holders: tuple[tuple[int, int], ...]) -> None:
    if len(holders) != event.refcount:
        _contradiction(f"block {event.block} has {len(holders)} holders, not {event.refcount}")
    held = state.blocks[event.tier]
    held[event.block] = replace(held[event.block], holders=holders)
