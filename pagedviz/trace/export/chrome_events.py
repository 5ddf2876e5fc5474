"""The Chrome trace event format: slices, marks, flows and names as the JSON that viewers of it read.

Decides where in a batch's time an event lies that has only a duration. What is drawn is decided in ``perfetto``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pagedviz.events import AnyEvent, StepFinished
from pagedviz.trace.timing import Span

Json = dict[str, Any]
RUN = 1
"""The one process: a run."""
ENGINE = 1
"""Its first thread."""


class Slices:
    """The slices and instants of one batch."""

    def __init__(self, span: Span, step: int, events: Iterable[AnyEvent], out: list[Json]) -> None:
        self._span, self._step, self._out = span, step, out
        self._next = span.begin_us
        self.finished = next((event for event in events if isinstance(event, StepFinished)), None)
        self.named: dict[str, None] = {}
        """Requests whose status the batch may have changed."""

    def whole(self, done: StepFinished, scheduled: dict[str, str]) -> None:
        """The slice of the step."""
        tokens = {"prefill_tokens": done.prefill_tokens, "decode_tokens": done.decode_tokens}
        args = {"step": self._step, **tokens, "duration_us": done.duration_us, "scheduled": scheduled}
        self._out.append(slice_of(f"step {self._step}", "step", ENGINE, *self._span, args))

    def nested(self, name: str, category: str, duration_us: int, args: Json) -> int:
        """A slice of the engine, behind those before it and inside the batch; returns when it begins."""
        begin = self._next
        self._next = min(self._span.end_us, begin + max(0, duration_us))
        args = {**args, "duration_us": duration_us}
        self._out.append(slice_of(name, category, ENGINE, begin, self._next, args))
        return begin

    def instant(self, name: str, thread: int, args: Json) -> None:
        """A mark at the batch's beginning."""
        place = {"cat": "memory", "pid": RUN, "tid": thread, "ts": self._span.begin_us}
        self._out.append({"ph": "i", "s": "t", "name": name, **place, "args": args})


Place = tuple[int, float]
"""A time, and the order among what has the same time."""


class Flows:
    """Which swap out put the content into a host block, until a swap in takes it from there."""

    def __init__(self) -> None:
        self.out: list[tuple[int, float, Json]] = []
        self._from: dict[int, Place] = {}
        self._count = 0

    def left(self, blocks: Iterable[int], place: Place) -> None:
        """Content went into these host blocks."""
        self._from.update(dict.fromkeys(blocks, place))

    def lost(self, block: int) -> None:
        """The host block's content is given up."""
        self._from.pop(block, None)

    def came(self, blocks: Iterable[int], place: Place) -> None:
        """Content came back out of these host blocks: a flow from each swap out that it went down with."""
        for began in sorted({self._from.pop(block) for block in blocks if block in self._from}):
            self._count += 1
            flow = {"name": "swapped", "cat": "swap", "id": self._count, "pid": RUN, "tid": ENGINE}
            self.out.append((*began, {"ph": "s", **flow, "ts": began[0]}))
            self.out.append((*place, {"ph": "f", "bp": "e", **flow, "ts": place[0]}))


def slice_of(name: str, category: str, thread: int, begin: int, end: int, args: Json) -> Json:
    """A slice of a thread."""
    place = {"pid": RUN, "tid": thread, "ts": begin, "dur": end - begin}
    return {"ph": "X", "name": name, "cat": category, **place, "args": args}


def metadata(name: str, thread: int, args: Json) -> Json:
    """What the process or a thread is called."""
    return {"ph": "M", "name": name, "pid": RUN, "tid": thread, "args": args}
