"""The session: the one owner of an engine while it generates in the background.

It decides who may talk to the engine (whoever goes through it) and how long a run is recorded (as long as the
session is open). When a step is taken is decided in ``loop``, where a run stands still by itself in ``guard``.
It knows nothing about widgets, messages or drawing: whoever wants to show a run *watches* it.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from pagedviz.errors import SessionError
from pagedviz.session.guard import Command, Halts
from pagedviz.session.loop import Listener, Stepper
from pagedviz.session.predictions import Pick
from pagedviz.session.status import Break, Status
from pagedviz.session.work import EngineWork
from pagedviz.trace import Recorder, Trace

if TYPE_CHECKING:
    from typing_extensions import Self

    from pagedviz.engine import Engine, RequestOutput, SamplingParams
    from pagedviz.events import Batch, Event
    from pagedviz.session.breakpoints import Breakpoint, Predicate
    from pagedviz.session.predictions import Prediction

_ENDLESS = 1 << 62
"""So many steps that the work ends first."""


class Session:
    """Runs an engine in the background so that it can be paused, stepped, resumed and stopped at any time.

        session = pv.Session(engine)
        session.submit("Once upon a time", max_tokens=64, n=2)
        session.start()

    A new session on the same engine closes the old one. Between two sessions the engine is yours again.
    """

    _of: ClassVar[weakref.WeakValueDictionary[int, Session]] = weakref.WeakValueDictionary()

    def __init__(self, engine: Engine) -> None:
        before = Session._of.get(id(engine))
        if before is not None:
            before.close()
        Session._of[id(engine)] = self
        self.engine = engine
        self.recorder = Recorder(engine)
        self._outputs: dict[str, RequestOutput] = {}
        self._halts = Halts(engine, self.recorder.start, self._changed)
        self._stepper = Stepper(EngineWork(engine, self._outputs), self._halts)
        self._unsubscribe = engine.subscribe(self._note)
        self._closed = False

    def submit(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams | None = None,
        *,
        request_id: str | None = None,
        **sampling: Any,
    ) -> str:
        """Add a request, at any time; it waits for the step in progress at most.

        Args:
            prompt: a text, or token ids.
            params: how to sample; or give its fields as keywords (``max_tokens=64, n=2``).
            request_id: a name of your own for it.
            sampling: the fields of ``SamplingParams``.

        Returns:
            The request's id.

        Raises:
            RequestError: the engine can never serve it.
            SessionError: the session is closed.
        """
        self._check_open()
        told = self._stepper.ahead
        with self._stepper.turn():
            name = self.engine.add_request(prompt, params, request_id=request_id, **sampling)
            self._halts.look_again()
            self._stepper.has_work()
            self._stepper.tell(urgent=self._stepper.state != "running")
        self._look_ahead(told)
        return name

    def abort(self, request_id: str) -> bool:
        """End a request early; False if no unfinished one has that name."""
        self._check_open()
        told = self._stepper.ahead
        with self._stepper.turn():
            aborted = self.engine.abort(request_id)
            self._halts.look_again()
            self._stepper.notice()
            self._stepper.tell(urgent=self._stepper.state != "running")
        self._look_ahead(told)
        return aborted

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
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise SessionError(f"step({n!r}): the number of steps must be at least 1")
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

    # -- where it stops by itself ----------------------------------------------------------------------------

    def break_on(
        self,
        kind: str | type[Event] | Predicate | None = None,
        *,
        block: int | None = None,
        tier: str | None = None,
        sequence: int | None = None,
        break_before: str | type[Event] | None = None,
    ) -> Breakpoint:
        """Stop before the next step whenever something happened; all that is given must be true of one event.

            session.break_on("BlockCopied")
            session.break_on(block=17)
            session.break_on(lambda event: getattr(event, "refcount", 0) > 3)
            session.break_on(break_before="BlockEvicted")

        Args:
            kind: a kind of event by its name or class, or a function of an event that returns True to stop.
            block: the event is about this block.
            tier: of this tier; ``"device"`` if it is not given.
            sequence: the event is about this sequence.
            break_before: stop before the step that would cause such an event; stands alone. What the next step
                would cause is planned without taking it. Resume, or a step, then goes through.

        Returns:
            It has ``remove()``, and ``enabled``, which may be set.

        Raises:
            ConfigError: nothing is given, or a value is unknown or out of range.
            SessionError: the session is closed.
        """
        self._check_open()
        told = self._stepper.ahead
        added = self._halts.breakpoints.add(kind, block=block, tier=tier, sequence=sequence, before=break_before)
        self._look_ahead(told)
        return added

    @property
    def breakpoints(self) -> tuple[Breakpoint, ...]:
        """Where the run stops."""
        return self._halts.breakpoints.shown

    def clear_breakpoints(self) -> None:
        """Remove them all."""
        self._halts.breakpoints.clear()

    def predict(self, on: bool = True) -> Self:  # noqa: FBT001, FBT002 - a switch
        """Stop before each step that causes an eviction, a copy-on-write, a swap or a preemption, to guess what.

        ``status.upcoming`` says what kinds of events; ``guess`` what one expects; the next step what is chosen.
        """
        self._check_open()
        told = self._stepper.ahead
        self._halts.predict(on=on)
        self._look_ahead(told)
        return self

    def guess(
        self,
        *,
        block: int | None = None,
        tier: str | None = None,
        sequence: int | None = None,
        request: str | None = None,
    ) -> Self:
        """Say which block, sequence or request the step ahead will choose; the step makes a ``Prediction`` of it.

        A later guess replaces an earlier one. A step without a guess makes no prediction.

        Raises:
            SessionError: nothing is to be guessed now, or not in these terms.
            ConfigError: not exactly one is given, or there is none of that id.
        """
        self._check_open()
        self._halts.guess(Pick(block, tier, sequence, request))
        return self

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """What was guessed, and what came of it."""
        return self._halts.predictions.made

    # --------------------------------------------------------------------------------------------------------

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
            breaks=tuple(Break(item.id, item.text, item.enabled) for item in self.breakpoints),
            predicting=guesses.on,
            upcoming=guesses.upcoming if run.state == "paused" and not run.moving else None,
            score=guesses.score,
        )

    @property
    def trace(self) -> Trace:
        """What was recorded since the session began."""
        return self.recorder.trace

    @property
    def outputs(self) -> dict[str, RequestOutput]:
        """The latest output of every request by its id; what still runs is there as far as it is."""
        return dict(self._outputs)

    def __repr__(self) -> str:
        status = self.status
        message = f": {status.message}" if status.message else ""
        return f"<Session {status.state} at step {status.step}{message}>"

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
