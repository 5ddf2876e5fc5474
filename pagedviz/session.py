"""The session: the one owner of an engine while it generates in the background.

It decides who may talk to the engine (whoever goes through it) and how long a run is recorded (as long as the
session is open). When a step is taken is decided in ``stepper``. It knows nothing about widgets, messages or
drawing: whoever wants to show a run *watches* it.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from pagedviz.errors import SessionError
from pagedviz.stepper import Command, Listener, RunState, Stepper
from pagedviz.trace import Recorder, Trace

if TYPE_CHECKING:
    from typing_extensions import Self

    from pagedviz.engine import Engine, RequestOutput, SamplingParams
    from pagedviz.events import Batch


class Status(msgspec.Struct, frozen=True):
    """Where a run stands, as a person and a view are told.

    ``step`` is the last step that finished, ``message`` a sentence ("" if there is nothing to say), and
    ``commands`` how many commands of views were taken so far.
    """

    state: RunState
    step: int
    message: str = ""
    commands: int = 0
    live: bool = True


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
        self._unsubscribe = engine.subscribe(self._note_step)
        self._step = self.recorder.start.step
        self._outputs: dict[str, RequestOutput] = {}
        self._stepper = Stepper(_EngineWork(engine, self._outputs))
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
        with self._stepper.turn():
            name = self.engine.add_request(prompt, params, request_id=request_id, **sampling)
            self._stepper.has_work()
            self._stepper.tell(urgent=self._stepper.state != "running")
        return name

    def abort(self, request_id: str) -> bool:
        """End a request early; False if no unfinished one has that name."""
        self._check_open()
        with self._stepper.turn():
            aborted = self.engine.abort(request_id)
            self._stepper.tell(urgent=self._stepper.state != "running")
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

    def step(self, n: int = 1) -> Self:
        """Run exactly ``n`` steps (fewer if the work ends) and stay paused; returns when they are done.

        Raises:
            SessionError: the engine failed (its error is the cause), or the session is closed.
        """
        self._check_open()
        if n < 1:
            raise SessionError(f"step({n}): the number of steps must be at least 1")
        self._stepper.begin(steps=n)
        self._stepper.await_rest()
        self._raise_failure()
        return self

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
        self._raise_failure()
        return self

    @property
    def status(self) -> Status:
        """Where the run stands."""
        run = self._stepper
        return Status(run.state, self._step, run.message, run.commands)

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

    def command(self, command: Command) -> None:
        """Take a command of a view, on any thread and without waiting; listeners hear what came of it."""
        # A closed session has no work and was stopped, so the stepper answers that there is nothing to do.
        self._stepper.take(command, of_view=True)

    def ask(self, question: Callable[[], None]) -> None:
        """Call ``question`` between two steps: on the engine's thread, or at once if there is none."""
        self._stepper.ask(question)

    # ----------------------------------------------------------------------------------------------------

    def _note_step(self, batch: Batch) -> None:
        self._step = batch.step

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("this session is closed: make a new one with pv.Session(engine)")

    def _raise_failure(self) -> None:
        if self._stepper.error is not None:
            raise SessionError(f"the engine failed: {self._stepper.message}") from self._stepper.error


class _EngineWork:
    """An engine as the stepper's ``Work``; keeps the latest outputs."""

    def __init__(self, engine: Engine, outputs: dict[str, RequestOutput]) -> None:
        self._engine = engine
        self._outputs = outputs

    def pending(self) -> bool:
        return self._engine.has_unfinished_requests()

    def step(self) -> None:
        for output in self._engine.step():
            self._outputs[output.request_id] = output

    def abandon(self) -> None:
        for request_id in self._engine.unfinished_request_ids():
            self._engine.abort(request_id)
