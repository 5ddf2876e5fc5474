"""What events say about steps, requests and sequences."""

from __future__ import annotations

from pagedviz.events import (
    KernelLaunched,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceDropped,
    SequenceFinished,
    SequenceForked,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.trace.rules import Rule, contradiction
from pagedviz.trace.state import Request, Sequence, State


def _start_step(state: State, event: StepStarted) -> None:
    state.scheduled = list(event.scheduled)


def _finish_step(state: State, event: StepFinished) -> None:
    for sequence, start, count in state.scheduled:
        running = state.sequences[sequence]
        if not 0 <= start <= start + count <= len(running.tokens):
            contradiction(f"{count} tokens from {start} on are computed of {len(running.tokens)}")
        if running.status == "running":
            running.computed = start + count
    state.counters.prefill_tokens += event.prefill_tokens
    state.counters.decode_tokens += event.decode_tokens


def _launch(state: State, event: KernelLaunched) -> None:
    """Kernels change no table."""


def _add_request(state: State, event: RequestAdded) -> None:
    if event.request in state.requests:
        contradiction(f"request {event.request!r} is added twice")
    if not event.sequences:
        contradiction(f"request {event.request!r} has no sequence")
    texts = event.texts or ("",) * len(event.prompt)
    if len(texts) != len(event.prompt):
        contradiction(f"{len(event.prompt)} prompt tokens have {len(texts)} texts")
    prompt = len(event.prompt)
    for sequence in event.sequences:
        if sequence in state.sequences:
            contradiction(f"sequence {sequence} is added twice")
        state.sequences[sequence] = Sequence(sequence, event.request, prompt, list(event.prompt), list(texts))
    state.requests[event.request] = Request(event.request, list(event.sequences), prompt, event.max_tokens)


def _schedule(state: State, event: RequestScheduled) -> None:
    request = state.requests[event.request]
    was = request.status
    if was not in {
        "waiting",
        "preempted",
        "swapped",
    }:  # before anything changes: copies of a state share what is over
        contradiction(f"request {event.request!r} is {was}, not waiting")
    request.status = "running"
    sequences = [state.sequences[number] for number in request.sequences]
    if was == "swapped":
        for sequence in sequences:
            if sequence.status == "swapped":
                sequence.status = "running"
    else:
        # A request begins with one sequence; the others fork from it when the prompt is in memory.
        for sequence in sequences:
            if sequence.status == "waiting":
                sequence.status = "running"
                break


def _preempt(state: State, event: RequestPreempted) -> None:
    request = state.requests[event.request]
    if request.status != "running":
        contradiction(f"request {event.request!r} is {request.status}, not running")
    swaps = event.mode == "swap"
    request.status = "swapped" if swaps else "preempted"
    request.preemptions += 1
    state.counters.lost_tokens += event.tokens_lost
    for number in request.sequences:
        sequence = state.sequences[number]
        if not swaps:
            sequence.computed = 0
        if sequence.status == "running":
            sequence.status = "swapped" if swaps else "waiting"


def _unfinished(state: State, name: str) -> Request:
    request = state.requests[name]
    if request.status == "finished":
        contradiction(f"request {name!r} has finished")
    return request


def _finish_request(state: State, event: RequestFinished) -> None:
    request = state.requests[event.request]
    if request.status == "finished":
        contradiction(f"request {event.request!r} finishes twice")
    request.status, request.reason = "finished", event.reason


def _fork(state: State, event: SequenceForked) -> None:
    parent = state.sequences[event.parent]
    if event.child not in state.sequences:  # a beam
        _unfinished(state, event.request).sequences.append(event.child)
        state.sequences[event.child] = Sequence(
            event.child, event.request, parent.num_prompt, [*parent.tokens], [*parent.texts]
        )
    child = state.sequences[event.child]
    if child.status != "waiting":
        contradiction(f"sequence {event.child} is {child.status}, not waiting")
    there = min(parent.computed, len(child.tokens))
    if not 0 <= event.num_tokens <= there:
        contradiction(f"{event.num_tokens} tokens are shared of {there} in memory")
    child.computed, child.status = event.num_tokens, "running"


def _finish_sequence(state: State, event: SequenceFinished) -> None:
    sequence = state.sequences[event.sequence]
    if sequence.status == "finished":
        contradiction(f"sequence {event.sequence} finishes twice")
    sequence.status = "finished"


def _drop_sequence(state: State, event: SequenceDropped) -> None:
    sequence = state.sequences[event.sequence]
    if any(sequence.tables.values()):
        contradiction(f"sequence {event.sequence} is dropped while it has blocks")
    sequences = _unfinished(state, event.request).sequences
    if len(sequences) == 1:
        contradiction(f"request {event.request!r} loses its last sequence")
    sequences.remove(event.sequence)
    del state.sequences[event.sequence]
    state.scheduled = [item for item in state.scheduled if item[0] != event.sequence]


def _append_token(state: State, event: TokenAppended) -> None:
    sequence = state.sequences[event.sequence]
    if event.position != len(sequence.tokens):
        contradiction(f"position {event.position} follows {len(sequence.tokens)} tokens")
    if sequence.status == "finished":
        contradiction(f"sequence {event.sequence} has finished")
    sequence.tokens.append(event.token)
    sequence.texts.append(event.text)


RULES: dict[type, Rule] = {
    StepStarted: _start_step,
    StepFinished: _finish_step,
    KernelLaunched: _launch,
    RequestAdded: _add_request,
    RequestScheduled: _schedule,
    RequestPreempted: _preempt,
    RequestFinished: _finish_request,
    SequenceForked: _fork,
    SequenceFinished: _finish_sequence,
    SequenceDropped: _drop_sequence,
    TokenAppended: _append_token,
}
