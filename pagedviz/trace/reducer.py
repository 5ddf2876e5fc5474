"""What events mean: ``apply`` folds one event into a state. JavaScript twin: ``browser/run/reducer.js``.

The only place in Python that knows; figures, audit and time travel all stand on it. The rules are in
``trace/rules``, one a kind; what an event counts as one of, its record says. They change the state in place,
because a copy per event would cost more than the engine's step (``State.copy`` gives keyframes).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pagedviz.errors import TraceFormatError
from pagedviz.events import AnyEvent, Batch
from pagedviz.events.kinds import MOST
from pagedviz.trace.rules import Rule, blocks, cache, requests
from pagedviz.trace.state import State

RULES: dict[type, Rule] = {**requests.RULES, **blocks.RULES, **cache.RULES}


Look = Callable[[State, AnyEvent], None]


def apply_batch(state: State, batch: Batch, look: Look | None = None) -> None:
    """Fold a batch into the state; ``look(state, event)`` sees each event before it is folded in.

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
            if look is not None:
                look(state, event)
            apply(state, event)
        except (KeyError, IndexError, ValueError) as error:
            reason = f"it names {error}, which does not exist" if isinstance(error, KeyError) else error
            raise TraceFormatError(
                f"event {state.seq} in step {batch.step} contradicts what came before: {reason} ({event})"
            ) from error
        state.seq += 1
    if any(abs(count) > MOST for count in msgspec.structs.astuple(state.counters)):
        raise TraceFormatError(f"step {batch.step} counts beyond {MOST}")


def apply(state: State, event: AnyEvent) -> None:
    """Fold one event into the state."""
    kind = type(event)
    RULES[kind](state, event)
    counter = kind.about.counter
    if counter:
        counters = state.counters
        setattr(counters, counter, getattr(counters, counter) + 1)
