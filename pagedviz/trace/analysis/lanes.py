"""What every request was doing and when: waiting, prefill, decode, swapped or recomputing.

Decides what counts as which. What a request does in a step is what the step computes of it; a running request
of which a step computes nothing goes on with what it did before. JavaScript twin: ``browser/run/lanes.js``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pagedviz.events import (
    AnyEvent,
    Batch,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    StepStarted,
)
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State
from pagedviz.trace.timing import Clock, Span

if TYPE_CHECKING:
    from pagedviz.trace.trace import Trace

ACTIVITIES = ("waiting", "prefill", "decode", "swapped", "recomputing")
"""All that a request does until it has finished."""

_OVER = ""
_BY_STATUS = {"waiting": "waiting", "preempted": "waiting", "swapped": "swapped", "finished": _OVER}


class Stretch(NamedTuple):
    """Steps ``first`` to ``last``, both included, in which a request did one thing, and their time.

    What began and ended between two steps has time but no step: ``last`` is then ``first - 1``. The times are
    microseconds since the engine began. ``open``: the trace ended before the request did something else.
    """

    what: str
    first: int
    last: int
    begin_us: int
    end_us: int
    open: bool = False


class _Change(NamedTuple):
    first: int
    t_us: int
    what: str


class Lanes:
    """Follows a state batch by batch: give ``look`` to ``apply_batch``, then call ``after``."""

    def __init__(self, state: State) -> None:
        self._changes: dict[str, list[_Change]] = {}
        self._goals: dict[str, int] = {}
        """How many tokens of a sequence had been computed when they were given up: until then it recomputes."""
        self._named: dict[str, None] = {}
        self._doing: dict[str, str] = {}
        self._step, self._t_us = state.step, state.t_us
        for name, request in state.requests.items():
            if request.status != "finished":
                sequences = [state.sequences[number] for number in request.sequences]
                there = max((len(s.tokens) - 1 for s in sequences if len(s.tokens) > s.num_prompt), default=0)
                if request.preemptions and there > max((s.computed for s in sequences), default=0):
                    self._goals[name] = there
                does = _BY_STATUS.get(request.status) or self._next(state, name)
                self._note(name, state.step + 1, state.t_us, does)

    def look(self, state: State, event: AnyEvent) -> None:
        """An event, before it is folded into the state."""
        match event:
            case StepStarted():
                self._plan(state, event)
            case RequestPreempted():
                self._named[event.request] = None
                if event.mode != "swap":
                    sequences = [state.sequences[number] for number in state.requests[event.request].sequences]
                    reached = (s.computed for s in sequences if s.status == "running")
                    self._goals[event.request] = max([*reached, self._goals.get(event.request, 0)])
            case RequestAdded() | RequestScheduled() | RequestFinished():
                self._named[event.request] = None
            case _:
                pass

    def _plan(self, state: State, event: StepStarted) -> None:
        for number, start, count in event.scheduled:
            sequence = state.sequences[number]
            name = sequence.request
            goal = self._goals.get(name, 0)
            does = "recomputing" if start < goal else "prefill" if start < sequence.num_prompt else "decode"
            if _RANK[does] > _RANK[self._doing.get(name, "waiting")]:
                self._doing[name] = does
            if goal and start + count >= goal:
                del self._goals[name]

    def after(self, state: State, batch: Batch, span: Span) -> None:
        """The batch is in the state."""
        # What comes between two steps is for the next one.
        first = batch.step if batch.step > self._step else batch.step + 1
        for name in {**self._named, **self._doing}:
            status = state.requests[name].status
            does = self._doing.get(name)
            if does is not None:
                self._note(name, first, span.begin_us, does)
            if status in _BY_STATUS:
                late = does is not None or status == "finished"
                when = (batch.step + 1, span.end_us) if late else (first, span.begin_us)
                self._note(name, *when, _BY_STATUS[status])
            elif does is None and not self._runs(name):
                self._note(name, first, span.begin_us, self._next(state, name))
        self._named.clear()
        self._doing.clear()
        self._step, self._t_us = batch.step, span.end_us

    def _runs(self, name: str) -> bool:
        changes = self._changes.get(name, ())
        return len(changes) > 0 and _RANK.get(changes[-1].what, 0) > 0

    def _next(self, state: State, name: str) -> str:
        """What a running request will do when a step computes something of it."""
        if name in self._goals:
            return "recomputing"
        sequences = [state.sequences[number] for number in state.requests[name].sequences]
        return "decode" if any(len(s.tokens) > s.num_prompt for s in sequences) else "prefill"

    def _note(self, name: str, first: int, t_us: int, what: str) -> None:
        changes = self._changes.setdefault(name, [])
        if changes and changes[-1][:2] == (first, t_us):
            changes.pop()
        if not changes or changes[-1].what != what:
            changes.append(_Change(first, t_us, what))

    def stretches(self) -> dict[str, list[Stretch]]:
        """Every request's stretches so far, in order; requests in the order in which they came."""
        end = _Change(self._step + 1, self._t_us, _OVER)
        found = {}
        for name, changes in self._changes.items():
            pieces = [
                Stretch(now.what, now.first, then.first - 1, now.t_us, then.t_us) for now, then in pairwise(changes)
            ]
            if changes[-1].what != _OVER:
                now = changes[-1]
                pieces.append(Stretch(now.what, now.first, end.first - 1, now.t_us, end.t_us, open=True))
            found[name] = [piece for piece in pieces if piece.first <= piece.last or piece.begin_us < piece.end_us]
        return found


_RANK = {"waiting": 0, "swapped": 0, "decode": 1, "prefill": 2, "recomputing": 3}
"""Several sequences of a request may do several things; the highest is told."""


def request_stretches(trace: Trace) -> dict[str, list[Stretch]]:
    """What every request of a trace did; those that had finished before it began are not in it.

    Raises:
        TraceFormatError: an event contradicts what came before.
    """
    state = trace.start.copy()
    lanes, clock = Lanes(state), Clock(state.t_us)
    for batch in trace.batches:
        apply_batch(state, batch, lanes.look)
        lanes.after(state, batch, clock.span(batch))
    return lanes.stretches()
