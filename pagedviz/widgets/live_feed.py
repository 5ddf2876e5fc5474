"""A live run as a dashboard holds it: while the run may go on, and afterwards only as long as somebody else does.

A notebook keeps every dashboard that a cell ever made. If each kept its session, and that its engine, thirty runs
of a cell would keep thirty models' memory. What a view needs of a run that is over is what was recorded. So this
holds the recording and the last status for good, and the session while the run is under way. Whoever has the
session can go on with it, and is followed again.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pagedviz.widgets.feed import Command, Feed, Listener, Source, Status

if TYPE_CHECKING:
    from pagedviz.trace import Trace

GONE = "The session of this view is gone, so nothing more can be generated here; the run can still be looked at."
_OVER = ("finished", "stopped", "failed")


class LiveFeed:
    """The ``Feed`` of a session that may go away before its views do."""

    def __init__(self, session: Feed) -> None:
        self._session = weakref.ref(session)
        self._held: Feed | None = session
        self._recorder = session.recorder
        self._status: Status = session.status
        self._listeners: list[Listener] = []
        self._turn = threading.RLock()  # for answers when there is no session whose thread could give them
        self._unwatch = session.watch(self._hear)
        self._hear(urgent=True)  # it may have been over before

    def _hear(self, urgent: bool) -> None:  # noqa: FBT001 - a feed's listener
        """Called before the views are: what they are told is kept for when the session is gone."""
        session = self._session()
        if session is not None and (urgent or self._held is None):
            self._status = session.status
            self._held = None if self._status.state in _OVER else session

    @property
    def recorder(self) -> Source:
        """Where the bytes are."""
        return self._recorder

    @property
    def trace(self) -> Trace:
        """What happened so far."""
        return self._recorder.trace

    @property
    def status(self) -> Status:
        """Where the run stands, or where it ended."""
        session = self._session()
        return self._status if session is None else session.status

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener(urgent)`` when there is news; returns what ends it."""
        session = self._session()
        unwatch = session.watch(listener) if session is not None else lambda: None
        self._listeners.append(listener)

        def end() -> None:
            unwatch()
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def command(self, command: Command, /, **details: Any) -> None:
        """Take a command of a view; when the session is gone, the answer says so."""
        session = self._session()
        if session is not None:
            session.command(command, **details)
            return
        with self._turn:
            last = self._status
            names = ("state", "step", "live", "breaks", "predicting", "upcoming", "score")
            kept = {name: getattr(last, name) for name in names}
            self._status = SimpleNamespace(**kept, message=GONE, commands=last.commands + 1)
            for listener in tuple(self._listeners):
                listener(True)

    def ask(self, question: Callable[[], None]) -> None:
        """Call ``question`` when no listener is being called."""
        session = self._session()
        if session is not None:
            session.ask(question)
            return
        with self._turn:
            question()

    def close(self) -> None:
        """Follow the session no longer."""
        self._unwatch()
        self._held = None
