"""Recording: keeps what an engine says, as batches for a trace and as lines for the wire, each encoded once.

Knows of the engine only what ``Recordable`` asks for. Taking a batch runs on the engine's thread and has to
be cheap; everything else may be called from any thread.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from pagedviz.errors import ConfigError
from pagedviz.events import Batch, Subscriber, codec
from pagedviz.trace.state import State
from pagedviz.trace.trace import Trace

NEEDED = ("info", "snapshot", "subscribe")
"""What ``Recordable`` asks for, by name."""


class Recordable(Protocol):
    """What can be recorded."""

    @property
    def info(self) -> codec.EngineInfo:
        """What the engine is."""

    def snapshot(self) -> State:
        """The state of memory now, with the number of the next event; it belongs to the caller."""

    def subscribe(self, subscriber: Subscriber, /) -> Callable[[], None]:
        """Call ``subscriber(batch)`` for every batch from now on; returns the function that ends it."""


class Lines(NamedTuple):
    """Encoded batches: events ``seq`` up to, not including, ``next_seq``."""

    seq: int
    next_seq: int
    data: bytes


class Recorder:
    """What an engine did since ``start``. ``record`` makes and closes one; or do so yourself.

    Raises:
        ConfigError: the engine lacks what ``Recordable`` asks for; the message names that.
    """

    def __init__(self, engine: Recordable) -> None:
        if missing := [name for name in NEEDED if not hasattr(engine, name)]:
            raise ConfigError(f"record({type(engine).__name__}): it has no {', '.join(missing)}; give an engine")
        self.info = engine.info
        self._lock = threading.Lock()
        self._batches: list[Batch] = []
        self._lines: list[bytes] = []
        self._seqs: list[int] = []
        # Listen first, then look: on another thread the engine may step in between.
        self._early: list[Batch] | None = []
        self._unsubscribe = engine.subscribe(self._take)
        self.start = engine.snapshot()
        self._head = codec.encode_header(self.info) + codec.encode_keyframe(self.start)
        self._next_seq = self.start.seq
        self._trace = Trace(self.info, self.start, ())
        with self._lock:
            early, self._early = self._early, None
            for batch in early or ():
                self._keep(batch)

    def _take(self, batch: Batch) -> None:
        with self._lock:
            if self._early is None:
                self._keep(batch)
            else:
                self._early.append(batch)

    def _keep(self, batch: Batch) -> None:
        if batch.seq < self._next_seq:
            return  # the snapshot has it
        assert batch.seq == self._next_seq, "the bus delivers every batch, in order"
        self._lines.append(codec.encode_batch(batch))
        self._batches.append(batch)
        self._seqs.append(batch.seq)
        self._next_seq += len(batch.events)

    @property
    def next_seq(self) -> int:
        """The number that the next event will have."""
        return self._next_seq

    @property
    def trace(self) -> Trace:
        """What has been recorded so far; the same object as long as nothing is added."""
        with self._lock:
            if len(self._trace.batches) != len(self._batches):
                self._trace = Trace(self.info, self.start, self._batches)
            return self._trace

    def lines_since(self, seq: int) -> Lines:
        """The lines of all batches from event ``seq`` on; none if there is nothing new.

        An event in the middle of a batch gets the batches behind it: ask with a ``next_seq`` from here.
        """
        with self._lock:
            index = bisect_left(self._seqs, seq)
            lines = self._lines[index:]
            first = self._seqs[index] if lines else self._next_seq
            next_seq = self._next_seq
        return Lines(first, next_seq, b"".join(lines))

    def snapshot(self) -> Lines:
        """The whole trace as it is in a file, not compressed, and the number of the event behind it."""
        lines = self.lines_since(self.start.seq)
        return Lines(self.start.seq, lines.next_seq, self._head + lines.data)

    def to_bytes(self) -> bytes:
        """The whole trace as it is in a file, not compressed."""
        return self.snapshot().data

    def close(self) -> None:
        """Record no more; what is here stays."""
        self._unsubscribe()


@contextmanager
def record(engine: Recordable) -> Iterator[Recorder]:
    """Record an engine while the block runs, from the state in which it is now.

    Raises:
        ConfigError: it is no engine.
    """
    recording = Recorder(engine)
    try:
        yield recording
    finally:
        recording.close()
