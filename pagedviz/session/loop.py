"""A background thread that takes steps: it decides when one is taken, and what state the run is in.

What a step is, the ``Work`` knows; who watches, the listeners; what is worth standing still for, the ``Gate``;
which of several wishes comes first, the ``Orders``. The session puts an engine here.

Two locks, always taken in this order: the turn is held during a step, so for as long as one takes;
``_control`` guards the orders and is only ever held for microseconds. Commands take the second one alone,
because they arrive on any thread and must not wait for a step.

| state | there is a thread | what is wanted |
|---|---|---|
| ready | no | nothing was asked for yet, or work came after the end |
| running | yes | steps, one after another |
| paused | yes | no step, or some that were asked for one by one |
| finished | no | nothing is left to do; new work goes on if the run was running |
| stopped, failed | no | a person decides |
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Literal

from pagedviz.errors import SessionError
from pagedviz.session.listeners import Listener, Listeners, call_view
from pagedviz.session.orders import Order, Orders
from pagedviz.session.work import Gate, Open, Work

RunState = Literal["ready", "running", "paused", "finished", "stopped", "failed"]
Motion = Literal["pause", "step", "resume", "stop"]

NOTHING_TO_DO = "There is nothing to generate: submit a request first."
_PATIENCE_AT_EXIT_S = 10.0


class StepLoop:
    """Steps its work in the background, and can be paused, stepped, resumed and stopped at any time.

    The thread ends when no work is left. Anyone may read ``state``, ``message``, ``error``, ``commands``
    and ``ahead``: what the message says of the next step.
    """

    def __init__(self, work: Work, gate: Gate | None = None) -> None:
        self._work = work
        self._gate: Gate = gate or Open()
        self.state: RunState = "ready"
        self.error: BaseException | None = None
        self.commands = 0
        self._listeners = Listeners()
        self._turn = threading.RLock()
        self._control = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._orders = Orders()
        # Why the run stands, or what else there is to say; and what the step ahead would cause, anew at each look.
        self._why = self.ahead = ""
        self._questions: list[Callable[[], None]] = []
        self._told = self._news()

    # -- for any thread ----------------------------------------------------------------------------------

    @property
    def message(self) -> str:
        """A sentence for the person, "" if there is nothing to say."""
        return _joined(self._why, self.ahead)

    @property
    def alive(self) -> bool:
        """Whether there is a thread; it may stand still."""
        return self._thread is not None

    @property
    def moving(self) -> bool:
        """Whether a step is in progress, or the next one needs no word of anybody."""
        return self._orders.moving

    def check_process(self) -> None:
        """Refuse a fork of the process in which the run is: the thread is not in it, and waiting for it never ends.

        Raises:
            SessionError: this process is a fork.
        """
        if os.getpid() != self._process:
            raise SessionError(
                f"process {os.getpid()} is a fork of process {self._process}, where this session runs. Start "
                "processes with multiprocessing.get_context('spawn'), and make engine and session there"
            )

    def take(self, command: Motion, *, of_view: bool = False) -> None:
        """Take a command without waiting for a step; listeners hear what came of it."""
        with self._control:
            self.commands += of_view
            if command == "pause":
                self._orders.stand()
            elif command == "stop":
                # Also when the last step ends it first: new work then waits for a person.
                self._orders.stopping, self._orders.go = self.alive, False
            elif not self.alive and self.state in ("finished", "stopped"):
                self._why, self.ahead = NOTHING_TO_DO, ""
            else:
                self.begin(steps=int(command == "step"))
            self._control.notify_all()
            if self.alive:
                return  # it sees that there is news
        with self.turn():
            if command == "stop" and self.state in ("ready", "failed"):
                self._obey("stop")
            else:
                self.tell(urgent=True)

    def begin(self, *, steps: int = 0) -> None:
        """Run, or take this many steps more and then stand."""
        with self._control:
            self._orders.run(steps)
            if self._orders.go or not self.alive:
                self.state, self.error = ("running" if self._orders.go else "paused"), None
            self._why = self.ahead = ""  # it was about where the run stood
            if not self.alive:
                # A thread that still computes while the interpreter goes down can crash it.
                atexit.register(self._exit)
                self._orders.stopping = False
                self._thread = threading.Thread(target=self._run, name="pagedviz-engine", daemon=True)
                self._thread.start()
            self._control.notify_all()

    def notice(self, *, of_view: bool = False) -> None:
        """What the gate goes by has changed: it looks ahead again if the run stands, and listeners hear of it."""
        with self._control:
            self.commands += of_view
            self._orders.change()
            self._control.notify_all()
            if self.alive:
                return  # it sees that there is news
        with self.turn():
            self.tell(urgent=True)

    def has_work(self) -> None:
        """There is work again: go on if it only ran out. A stopped or failed run waits for a person."""
        with self._control:
            self._orders.change()
            if self.state == "finished" and self._orders.go:
                self.begin()
            elif not self.alive:
                self._rest("ready")

    def await_rest(self) -> None:
        """Return when no step is in progress and none is owed."""
        self._wait(lambda: not self.alive or (self.state == "paused" and self._orders.looked and not self.moving))

    def await_look(self) -> None:
        """Return when a run that stands has looked ahead; at once if it moves."""
        self._wait(lambda: not self.alive or self._orders.looked or self.moving)

    def await_end(self, timeout: float | None = None) -> None:
        """Return when there is no thread and the listeners know it, or after ``timeout`` seconds."""
        self._wait(lambda: not self.alive, timeout)
        if not self.alive:
            with self.turn():  # in which they are called
                pass

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` from now on; returns the function that ends it."""
        return self._listeners.add(listener)

    def ask(self, question: Callable[[], None]) -> None:
        """Call ``question`` between two steps: on the loop's thread, or at once if there is none."""
        with self._control:
            if self.alive:
                self._questions.append(question)
                self._control.notify_all()
                return
        with self.turn():
            self._put(question)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The work for the caller alone, after the step in progress."""
        with self._control:
            self._orders.guests += 1
        try:
            with self._turn:
                yield
        finally:
            with self._control:
                self._orders.guests -= 1
                self._control.notify_all()

    def tell(self, *, urgent: bool) -> None:
        """Call the listeners. The caller has the turn. A change of state, message or commands is urgent."""
        urgent = urgent or self._news() != self._told
        self._told = self._news()
        for failed in self._listeners.tell(urgent=urgent):
            self._why = failed

    # -- the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            order = self._order()
            with self._turn:
                if not self._obey(order):
                    return

    def _order(self) -> Order:
        """Wait until there is something to do, and say what."""
        orders = self._orders
        with self._control:
            orders.stepping = False
            while True:
                if orders.stands and not orders.stopping:
                    self.state = "paused"
                order = orders.next(news=bool(self._questions) or self._news() != self._told)
                if order is not None:
                    return order
                self._control.notify_all()
                self._control.wait()

    def _obey(self, order: Order) -> bool:
        """Do it, and return False if that was the end of the run. The caller has the turn."""
        try:
            if order == "look":
                self._look()
                return True
            if order == "tell":
                self._answer()
                self.tell(urgent=True)
                return True
            if order == "stop":
                self._work.abandon()
                self._look()  # nothing is ahead any more
                self._end("stopped")
                return False
            return self._step()
        except BaseException as error:  # noqa: BLE001 - a thread has nobody to raise to; who waits for it will
            return self._fail(error)

    def _step(self) -> bool:
        """Take a step if nothing speaks against it; False if that was the end of the run."""
        if not self._work.pending():
            self._end("finished", NOTHING_TO_DO)
            return False
        why, ahead = self._gate.after(step=False), self._gate.before(standing=False)
        if not why and not ahead:
            try:
                self._work.step()
            except BaseException as error:  # noqa: BLE001 - what stands of the step is still worth telling
                return self._fail(error, self._gate.after(step=True))
            why = self._gate.after(step=True)
        if why or ahead:
            self._stand(why, ahead)
        if not self._work.pending():
            self._end("finished", why)
            return False
        # Single steps are shown at once; of many in a row only the last has to be. What stands still is shown then.
        if not why and not ahead:
            self.tell(urgent=self._orders.stands)
        return True

    def _stand(self, why: str, ahead: str) -> None:
        """Take no further step until somebody says so."""
        with self._control:
            self._orders.stand()
            self._why, self.ahead = why, ahead

    def _look(self) -> None:
        """The run has come to stand: what is ahead is shown now, so that the next command goes through it."""
        changes = self._orders.changes
        why, ahead = self._gate.after(step=False), self._gate.before(standing=True)
        with self._control:
            self._orders.looked = self._orders.changes == changes
            self._why = _joined(self._why, why)
            self.ahead = ahead if self._orders.stands else ""
            self._control.notify_all()

    def _fail(self, error: BaseException, why: str = "") -> bool:
        self._end("failed", _joined(f"{type(error).__name__}: {error}", why), error)
        return False

    def _end(self, state: RunState, message: str = "", error: BaseException | None = None) -> None:
        with self._control:
            # Out of work is not the end of the wish to run: `has_work` goes on as before.
            self._orders.over(go_on=state == "finished")
            self._rest(state, message, error)
            self._thread = None
            atexit.unregister(self._exit)
            self._control.notify_all()
        self._answer()
        self.tell(urgent=True)

    def _answer(self) -> None:
        with self._control:
            questions, self._questions = self._questions, []
        for question in questions:
            self._put(question)

    def _put(self, question: Callable[[], None]) -> None:
        self._why = call_view(question) or self._why

    def _rest(self, state: RunState, message: str = "", error: BaseException | None = None) -> None:
        self.state, self.error = state, error
        self._why, self.ahead = message, ""

    def _news(self) -> tuple[object, ...]:
        return self.state, self.message, self.commands, self._orders.changes

    def forget_error(self) -> None:
        """Keep what it said, and not the error: its traceback holds everything that was at work when it came."""
        self.error = None

    def _wait(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        if threading.current_thread() is not self._thread:  # a listener that pauses must not wait for itself
            with self._control:
                self._control.wait_for(condition, timeout)

    def _exit(self) -> None:
        if os.getpid() != self._process:
            return
        with self._control:
            self._listeners.clear()  # their sockets may be gone
            self._orders.stopping = True
            self._control.notify_all()
            self._control.wait_for(lambda: not self.alive, _PATIENCE_AT_EXIT_S)


def _joined(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))
