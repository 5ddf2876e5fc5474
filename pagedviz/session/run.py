"""A run and who owns it: the one owner of an engine while it generates in the background.

It decides who may talk to the engine (whoever goes through it) and how long a run is recorded (as long as it is
open). When a step is taken is decided in ``loop``, where a run stands still by itself in ``guard``; what a person
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
from pagedviz.session.guard import Command, Halts
from pagedviz.session.loop import Listener, Stepper
from pagedviz.session.status import Break, Status
from pagedviz.session.work import EngineWork
from pagedviz.trace import Recorder, Trace
from pagedviz.values import is_whole

if TYPE_CHECKING:
    from typing import Self

    from pagedviz.engine import Engine, RequestOutput
    from pagedviz.events import Batch, Event
    from pagedviz.session.breakpoints import Predicate

_ENDLESS = 1 << 62
"""So many steps that the work ends first."""


class Run:
    """Steps an engine in the background; can be paused, stepped, resumed and stopped at any time.

    A new run on the same engine closes the old one. Between two runs the engine is yours again.
    """

    _of: ClassVar[weakref.WeakValueDictionary[int, Run]] = weakref.WeakValueDictionary()

    def __init__(self, engine: Engine) -> None:
        before = Run._of.get(id(engine))
        if before is not None:
            before.close()
        Run._of[id(engine)] = self
        self.engine = engine
        self.recorder = Recorder(engine)
        self._outputs: dict[str, RequestOutput] = {}
        self._halts = Halts(engine, self.recorder.start, self._changed)
        self._stepper = Stepper(EngineWork(engine, self._outputs), self._halts)
        self._unsubscribe = engine.subscribe(self._note)
        self._closed = False

    def start(self) -> Self:
        """Generate in the background and return at once; goes on if the session was paused."""
        self._check_open()
        self._stepper.begin()
        return self

    resume = start

    def pause(self) -> Self:
        """Stop after the step in progress; when this returns, none is."""
        self._stepper.take("pause")
        self._stepper.await_rest()
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
            raise SessionError(f"step({n!r}): the number of steps must be at least 1")
        n = int(n)
        if until is None:
            self._begin(n)
        elif n != 1:
            raise SessionError(f"step({n}, until={until!r}): give one of them")
        else:
            self._step_until(until)
        self._raise_failure()
        return self

    def _begin(self, steps: int) -> None:
        """Take so many steps and return when the run stands; Ctrl-C pauses it."""
        try:
            self._stepper.begin(steps=steps)
            self._stepper.await_rest()
        except KeyboardInterrupt:
            self.pause()
            raise

    def _step_until(self, until: str | type[Event] | Predicate | int) -> None:
        awaited = self._halts.until(until)
        try:
            self._begin(_ENDLESS)
        finally:
            awaited.remove()
        if awaited.error is not None:
            raise SessionError(f"step(until=...): {self._stepper.message}") from awaited.error

    def stop(self) -> Self:
        """End the run and abort what is unfinished, so that no block stays taken."""
        self._stepper.take("stop")
        self._stepper.await_end()
        return self

    def close(self) -> None:
        """Stop, and let go of the engine. What was recorded stays, and can still be looked at."""
        if not self._closed:
            self.stop()
            self._closed = True
            self.recorder.close()
            self._unsubscribe()

    def run(self, timeout: float | None = None) -> Self:
        """Start, and return when the run has ended, or after ``timeout`` seconds; for scripts.

        In a notebook the buttons do nothing until this returns: there, ``start()``.

        Raises:
            SessionError: the engine failed; its error is the cause.
        """
        self.start()
        try:
            self._stepper.await_end(timeout)
        except KeyboardInterrupt:
            self.pause()
            raise
        self._raise_failure()
        return self

    async def wait(self) -> Self:
        """Return when the run has ended; the loop stays free meanwhile.

        Raises:
            SessionError: the engine failed (its error is the cause), or the session was not started.
        """
        if self._stepper.state == "ready":
            raise SessionError("wait() before start(): the session would never end")
        news, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake(urgent: bool) -> None:  # noqa: ARG001, FBT001 - a listener
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(news.set)

        unwatch = self.watch(wake)
        try:
            while self._stepper.alive:
                await news.wait()
                news.clear()
        finally:
            unwatch()
        await asyncio.to_thread(self._stepper.await_end)
        self._raise_failure()
        return self

    @property
    def status(self) -> Status:
        """Where the run stands."""
        run, guesses = self._stepper, self._halts.predictions
        return Status(
            run.state,
            self._halts.step,
            run.message,
            run.commands,
            breaks=tuple(Break(item.id, item.text, item.enabled) for item in self._halts.breakpoints.shown),
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
        return self._stepper.watch(listener)

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
            # A closed session has no work and was stopped, so the stepper answers that there is nothing to do.
            if self._stepper.ahead:
                self._halts.seen(yes=True)  # it is shown beside the button
            self._stepper.take(command, of_view=True)
            return
        self._check_open()
        self._halts.command(command, details)
        self._stepper.notice(of_view=True)

    def ask(self, question: Callable[[], None]) -> None:
        """Call ``question`` between two steps: on the engine's thread, or at once if there is none."""
        self._stepper.ask(question)

    # ----------------------------------------------------------------------------------------------------

    def _look_ahead(self, told: str) -> None:
        """What the next step would cause may have changed: a program, which reads no message, is stopped there."""
        self._stepper.await_look()
        if self._stepper.ahead != told:
            self._halts.seen(yes=False)

    def _changed(self) -> None:
        self._stepper.notice()

    def _note(self, batch: Batch) -> None:
        self._halts.note(batch, moving=self._stepper.moving)

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("this session is closed: make a new one with pv.Session(engine)")

    def _raise_failure(self) -> None:
        if self._stepper.error is not None:
            raise SessionError(f"the engine failed: {self._stepper.message}") from self._stepper.error
