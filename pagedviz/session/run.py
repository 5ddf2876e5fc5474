"""A run and who owns it: the one owner of an engine while it generates in the background.

It decides who may talk to the engine (whoever goes through it) and how long a run is recorded (as long as it is
open). When a step is taken is decided in ``loop``, where a run stands still by itself in ``stops``; what a person
asks of the run is in ``session``. It knows nothing about widgets, messages or drawing: whoever wants to show a run
*watches* it.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from pagedviz.errors import SessionError
from pagedviz.session.engines import Held, Steppable
from pagedviz.session.listeners import Listener
from pagedviz.session.loop import StepLoop
from pagedviz.session.status import Break, Status
from pagedviz.session.stops import Command, Stops
from pagedviz.trace import Recorder, Trace
from pagedviz.values import is_whole

if TYPE_CHECKING:
    from typing import Self

    from pagedviz.events import Batch, Event
    from pagedviz.session.breakpoints import Predicate

_ENDLESS = 1 << 62
"""So many steps that the work ends first."""


class Run:
    """Steps an engine in the background; can be paused, stepped, resumed and stopped at any time.

    A new run on the same engine closes the old one. Between two runs the engine is yours again.
    """

    _of: ClassVar[weakref.WeakValueDictionary[int, Run]] = weakref.WeakValueDictionary()

    def __init__(self, engine: Steppable) -> None:
        self._held = Held(engine)
        before = Run._of.get(id(engine))
        if before is not None:
            before.close()
        Run._of[id(engine)] = self
        self.recorder = Recorder(engine)
        self._stops = Stops(self._held, self.recorder.start, self._changed)
        self._loop = StepLoop(self._held, self._stops)
        self._unsubscribe = engine.subscribe(self._note)
        self._closed = False

    @property
    def engine(self) -> Any:
        """The engine that is stepped: the object that was given.

        Raises:
            SessionError: the session is closed, and nobody has the engine any more.
        """
        return self._held.engine

    def start(self) -> Self:
        """Generate in the background and return at once; goes on if the session was paused."""
        self._check_open()
        self._loop.begin()
        return self

    resume = start

    def pause(self) -> Self:
        """Stop after the step in progress; when this returns, none is."""
        self._loop.check_process()
        self._loop.take("pause")
        self._loop.await_rest()
        return self

    def step(self, n: int = 1, *, until: str | type[Event] | Predicate | int | None = None) -> Self:
        """Run exactly ``n`` steps (fewer if the work ends) and stay paused; returns when they are done.

        Args:
            n: how many.
            until: run instead until the step is over in which this happened: a kind of event by its name or
                class, or a function of an event that returns True; or until the step of this number is over.

        A breakpoint ends it sooner, and so does Ctrl-C, after the step in progress.

        Raises:
            SessionError: the engine failed, or the function ``until`` raised (its error is the cause); the session
                is closed; ``n`` is below 1; or the step ``until`` is past.
            ConfigError: there is no such kind.
        """
        self._check_open()
        if not is_whole(n) or n < 1:
            raise SessionError(f"step({n!r}): the number of steps must be a whole number, at least 1")
        n = int(n)
        if until is None:
            self._begin(n)
        elif n != 1:
            raise SessionError(f"step({n}, until={until!r}): give one of them")
        else:
            self._step_until(until)
        self.check()
        return self

    def _begin(self, steps: int) -> None:
        """Take so many steps and return when the run stands; Ctrl-C pauses it."""
        try:
            self._loop.begin(steps=steps)
            self._loop.await_rest()
        except KeyboardInterrupt:
            self.pause()
            raise

    def _step_until(self, until: str | type[Event] | Predicate | int) -> None:
        awaited = self._stops.until(until)
        try:
            self._begin(_ENDLESS)
        finally:
            awaited.remove()
        if awaited.error is not None:
            raise SessionError(f"step(until=...): {self._loop.message}") from awaited.error

    def stop(self) -> Self:
        """End the run and abort what is unfinished, so that no block stays taken."""
        self._loop.check_process()
        self._loop.take("stop")
        self._loop.await_end()
        return self

    def close(self) -> None:
        """Stop, and let go of the engine. What was recorded stays, and can still be looked at."""
        if self._closed:
            return
        self.stop()
        self._closed = True
        self.recorder.close()
        self._unsubscribe()
        if Run._of.get(id(self.engine)) is self:
            del Run._of[id(self.engine)]  # another engine may get that id
        self._loop.forget_error()
        self._held.let_go()

    def run(self, timeout: float | None = None) -> Self:
        """Start, and return when the run has ended, or after ``timeout`` seconds; for scripts.

        In a notebook the buttons do nothing until this returns: there, ``start()``.

        Raises:
            SessionError: the engine failed; its error is the cause.
        """
        self.start()
        try:
            self._loop.await_end(timeout)
        except KeyboardInterrupt:
            self.pause()
            raise
        self.check()
        return self

    async def wait(self) -> Self:
        """Return when the run has ended; the loop stays free meanwhile.

        Raises:
            SessionError: the engine failed (its error is the cause), or the session was not started.
        """
        if self._loop.state == "ready":
            raise SessionError("wait() before start(): the session would never end")
        news, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake(urgent: bool) -> None:  # noqa: ARG001, FBT001 - a listener
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(news.set)

        unwatch = self.watch(wake)
        try:
            while self._loop.alive:
                await news.wait()
                news.clear()
        finally:
            unwatch()
        await asyncio.to_thread(self._loop.await_end)
        self.check()
        return self

    def check(self) -> None:
        """Raise what ended the run, if it failed.

        Raises:
            SessionError: it did; the engine's error is the cause.
        """
        if self._loop.error is not None:
            raise SessionError(f"the engine failed: {self._loop.message}") from self._loop.error

    @property
    def status(self) -> Status:
        """Where the run stands."""
        run, guesses = self._loop, self._stops.predictions
        return Status(
            run.state,
            self._stops.step,
            run.message,
            run.commands,
            breaks=tuple(Break(item.id, item.text, item.enabled) for item in self._stops.breakpoints.shown),
            predicting=guesses.on,
            upcoming=guesses.upcoming if run.state == "paused" and not run.moving else None,
            score=guesses.score,
        )

    @property
    def trace(self) -> Trace:
        """What was recorded since the session began."""
        return self.recorder.trace

    def __repr__(self) -> str:
        status = self.status
        message = f": {status.message}" if status.message else ""
        return f"<{type(self).__name__} {status.state} at step {status.step}{message}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    # -- what a view calls -------------------------------------------------------------------------------

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener(urgent)`` between two steps when there is news; returns what ends it."""
        return self._loop.watch(listener)

    def command(self, command: Command, /, **details: Any) -> None:
        """Take a command of a view, on any thread and without waiting; listeners hear what came of it.

        Args:
            command: ``pause``, ``step``, ``resume`` or ``stop``, which have no details; ``break``, ``unbreak``,
                ``predict`` or ``guess``.
            details: as in `docs/live-protocol.md`.

        Raises:
            PagedvizError: they are at fault.
        """
        if command in ("pause", "step", "resume", "stop"):
            # A closed session has no work and was stopped, so the loop answers that there is nothing to do.
            if self._loop.ahead:
                self._stops.seen(yes=True)  # it is shown beside the button
            self._loop.take(command, of_view=True)
            return
        self._check_open()
        self._stops.command(command, details)
        self._loop.notice(of_view=True)

    def ask(self, question: Callable[[], None]) -> None:
        """Call ``question`` between two steps: on the engine's thread, or at once if there is none."""
        self._loop.ask(question)

    # ----------------------------------------------------------------------------------------------------

    def _look_ahead(self, told: str) -> None:
        """What the next step would cause may have changed: a program, which reads no message, is stopped there."""
        self._loop.await_look()
        if self._loop.ahead != told:
            self._stops.seen(yes=False)

    def _changed(self) -> None:
        self._loop.notice()

    def _note(self, batch: Batch) -> None:
        self._stops.note(batch, moving=self._loop.moving)

    def _check_open(self) -> None:
        self._loop.check_process()
        if self._closed:
            raise SessionError("this session is closed: make a new one with pv.Session(engine)")
