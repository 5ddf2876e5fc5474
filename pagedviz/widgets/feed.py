"""What a dashboard asks of the run that it shows, live or saved; knows nothing of either's insides.

``pagedviz.session.Session`` is a live ``Feed`` without knowing it; ``SavedFeed`` makes one of a trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from pagedviz.trace.recorder import Lines

if TYPE_CHECKING:
    from pagedviz.trace import Trace

Listener = Callable[[bool], None]
Command = Literal["pause", "step", "resume", "stop"]


class Status(Protocol):
    """Where a run stands; `docs/live-protocol.md` says what the fields mean."""

    @property
    def state(self) -> str:
        """One of the six states."""

    @property
    def step(self) -> int:
        """The last step that finished."""

    @property
    def message(self) -> str:
        """A sentence for the person, or nothing."""

    @property
    def commands(self) -> int:
        """How many commands of views were taken."""

    @property
    def live(self) -> bool:
        """Whether anything can still happen."""


class Source(Protocol):
    """Where the bytes of a run are, as ``trace.Recorder`` has them."""

    def snapshot(self) -> Lines:
        """The whole trace so far."""

    def lines_since(self, seq: int, /) -> Lines:
        """The batches from event ``seq`` on."""


class Feed(Protocol):
    """A run that can be watched and commanded."""

    @property
    def status(self) -> Status:
        """Where the run stands."""

    @property
    def recorder(self) -> Source:
        """Where its bytes are."""

    @property
    def trace(self) -> Trace:
        """What happened so far."""

    def watch(self, listener: Listener, /) -> Callable[[], None]:
        """Call ``listener(urgent)`` whenever there is news, never twice at a time; returns what ends it."""

    def command(self, command: Command, /) -> None:
        """Take a command of a view; on any thread, and without waiting."""

    def ask(self, question: Callable[[], None], /) -> None:
        """Call ``question`` when no listener is being called."""


class _Saved(NamedTuple):
    state: str = "finished"
    step: int = 0
    message: str = ""
    commands: int = 0
    live: bool = False


class SavedFeed:
    """A trace as a feed: it has no news and takes no commands. Also the ``Source`` of its own bytes."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.status = _Saved(step=trace.last_step)

    @property
    def recorder(self) -> SavedFeed:
        """Where the bytes are."""
        return self

    def snapshot(self) -> Lines:
        """The whole trace."""
        start = self.trace.start.seq
        return Lines(start, start + self.trace.num_events, self.trace.to_bytes())

    def lines_since(self, seq: int) -> Lines:  # noqa: ARG002 - nothing is ever new
        """Nothing."""
        end = self.trace.start.seq + self.trace.num_events
        return Lines(end, end, b"")

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Never call it."""
        del listener
        return lambda: None

    def command(self, command: Command) -> None:
        """Ignore it: the view says that nothing is live."""

    def ask(self, question: Callable[[], None]) -> None:
        """Call it now."""
        question()
