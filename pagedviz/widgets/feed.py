"""What a dashboard asks of the run that it shows, live or saved; knows nothing of either's insides.

``pagedviz.session.Session`` is a live ``Feed`` without knowing it; ``SavedFeed`` makes one of a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pagedviz.trace.recorder import Lines

if TYPE_CHECKING:
    from pagedviz.trace import Trace

Listener = Callable[[bool], None]
Command = Literal["pause", "step", "resume", "stop", "break", "unbreak", "predict", "guess"]


class Break(Protocol):
    """A breakpoint as it is shown."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def text(self) -> str:
        """What it waits for."""

    @property
    def enabled(self) -> bool:
        """Whether it stops the run."""


class Upcoming(Protocol):
    """What the next step will cause."""

    @property
    def step(self) -> int:
        """Its number."""

    @property
    def kinds(self) -> Sequence[str]:
        """Kinds of events."""


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

    @property
    def breaks(self) -> Sequence[Break]:
        """The breakpoints."""

    @property
    def predicting(self) -> bool:
        """Whether the run stops for guesses."""

    @property
    def upcoming(self) -> Upcoming | None:
        """What is to be guessed now."""

    @property
    def score(self) -> tuple[int, int]:
        """How many guesses were right, of how many."""


class Source(Protocol):
    """Where the bytes of a run are, as ``trace.Recorder`` has them."""

    @property
    def trace(self) -> Trace:
        """What happened so far."""

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

    def command(self, command: Command, /, **details: Any) -> None:
        """Take a command of a view; on any thread, and without waiting. Raises if its details are at fault."""

    def ask(self, question: Callable[[], None], /) -> None:
        """Call ``question`` when no listener is being called."""


class _Saved(NamedTuple):
    state: str = "finished"
    step: int = 0
    message: str = ""
    commands: int = 0
    live: bool = False
    breaks: tuple[Break, ...] = ()
    predicting: bool = False
    upcoming: None = None
    score: tuple[int, int] = (0, 0)


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

    def command(self, command: Command, /, **details: Any) -> None:
        """Ignore it: the view says that nothing is live."""

    def ask(self, question: Callable[[], None]) -> None:
        """Call it now."""
        question()
