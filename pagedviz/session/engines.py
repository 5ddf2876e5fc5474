"""What a session needs of an engine, and what it does with one that has more. Knows no engine of its own.

Two methods are needed beside what a recorder needs: ``Steppable``. All else is optional, and what is missing is
told when it is asked for: an engine that takes no requests (a recorded run, somebody's server) is stepped and
watched all the same, and one that cannot look ahead stops after events, never before them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pagedviz.errors import ConfigError, SessionError
from pagedviz.trace.recorder import NEEDED, Recordable

if TYPE_CHECKING:
    from pagedviz.trace.state import State

_NEEDED = (*NEEDED, "has_unfinished_requests", "step")


class Output(Protocol):
    """What a session must know of a request's output, whatever else is in it."""

    @property
    def request_id(self) -> str:
        """Whose it is."""

    @property
    def finished(self) -> bool:
        """Whether it is the last one."""


class Steppable(Recordable, Protocol):
    """What can be put into a session: it can be recorded, and takes steps. No two methods are called at a time."""

    def has_unfinished_requests(self) -> bool:
        """True while ``step`` has something to do, or to return."""

    def step(self) -> Iterable[Output]:
        """Take one step; returns what is new of every request that got something."""


@runtime_checkable
class TakesRequests(Protocol):
    """An engine that can be asked for something. Optional: without it ``submit`` is refused."""

    def add_request(
        self, prompt: Any, params: Any = None, *, request_id: str | None = None, **sampling: Any
    ) -> str:
        """Put a request in the queue; returns its id."""

    def abort(self, request_id: str) -> bool:
        """End a request; False if no unfinished one has that name."""


@runtime_checkable
class LooksAhead(Protocol):
    """An engine that knows what its next step would cause. Optional: without it no run stops *before* an event.

    Attributes:
        foretells: the kinds of events that it can tell, as names.
    """

    foretells: tuple[str, ...]

    def preview(self) -> Any:
        """Plan the next step without taking it; ``kinds`` of the result has which of ``foretells`` it causes."""


class Held:
    """The engine of one run, as the run's parts reach it; the only place that holds it, so that it can be let go.

    It is the loop's ``Work``, and keeps the latest output of every request.

    Raises:
        ConfigError: it lacks what is needed; the message names that.
    """

    def __init__(self, engine: Steppable) -> None:
        if missing := [name for name in _NEEDED if not hasattr(engine, name)]:
            raise ConfigError(
                f"Session(engine={type(engine).__name__}): it has no {', '.join(missing)}; "
                f"a session needs an engine with {', '.join(_NEEDED)}"
            )
        self._engine: Steppable | None = engine
        self._gone: weakref.ref[Steppable] | None = None
        self.foretells: tuple[str, ...] = engine.foretells if isinstance(engine, LooksAhead) else ()
        self.outputs: dict[str, Any] = {}
        self.aborted: set[str] = set()

    @property
    def engine(self) -> Any:
        """The engine, also after it was let go if somebody else still has it.

        Raises:
            SessionError: nobody has it any more.
        """
        engine = self._engine or (self._gone and self._gone())
        if engine is None:
            raise SessionError(
                "this session is closed, and nobody has its engine any more: its trace is still here"
            )
        return engine

    def let_go(self) -> None:
        """Hold the engine no longer: its memory is free as soon as nobody else holds it."""
        if self._engine is not None:
            try:
                self._gone = weakref.ref(self._engine)
            except TypeError:  # a class of a user's own may have no room for weak references
                self._gone = None
            self._engine = None

    # -- the loop's work ---------------------------------------------------------------------------------------

    def pending(self) -> bool:
        """Whether the engine has anything to do, or to return."""
        return bool(self.engine.has_unfinished_requests())

    def step(self) -> None:
        """Take a step."""
        for output in self.engine.step():
            self.outputs[output.request_id] = output

    def abandon(self) -> None:
        """Abort what is unfinished, if the engine can do that."""
        if isinstance(self.engine, TakesRequests):
            for request_id in [*self.state().requests]:
                self.abort(request_id)

    # -- requests, and what is ahead -----------------------------------------------------------------------------

    def state(self) -> State:
        """Memory now, and who is in it: requests that are not finished."""
        snapshot: State = self.engine.snapshot()
        return snapshot

    def taking_requests(self, what: str) -> TakesRequests:
        """The engine, to ask it for something.

        Raises:
            SessionError: it takes no requests.
        """
        if not isinstance(self.engine, TakesRequests):
            raise SessionError(f"{what}: a {type(self.engine).__name__} takes no requests; it can only be watched")
        return self.engine

    def abort(self, request_id: str) -> bool:
        """End a request; False if no unfinished one has that name.

        Raises:
            SessionError: the engine takes no requests.
        """
        aborted = self.taking_requests("abort").abort(request_id)
        if aborted:
            self.aborted.add(request_id)
        return aborted

    def upcoming(self) -> tuple[str, ...]:
        """The kinds of events that the next step would cause, of those that can be told.

        Raises:
            PolicyError: it cannot be planned.
        """
        return tuple(self.engine.preview().kinds) if self.foretells else ()
