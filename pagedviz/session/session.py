"""The session: what a person asks of a run. Requests in, outputs out, and where the run is to stop.

How the run goes on is decided in ``run``; what the words of a breakpoint or a guess mean, in ``breakpoints`` and
``predictions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pagedviz.chat import ChatPrompt, Messages, Template
from pagedviz.session.predictions import Pick
from pagedviz.session.run import Run

if TYPE_CHECKING:
    from typing import Self

    from pagedviz.engine import RequestOutput, SamplingParams
    from pagedviz.events import Event
    from pagedviz.session.breakpoints import Breakpoint, Predicate
    from pagedviz.session.predictions import Prediction


class Session(Run):
    """Runs an engine in the background so that it can be paused, stepped, resumed and stopped at any time.

        session = pv.Session(engine)
        session.submit("Once upon a time", max_tokens=64, n=2)
        session.start()

    A new session on the same engine closes the old one. Between two sessions the engine is yours again.
    """

    def submit(
        self,
        prompt: str | Sequence[int] | Messages | ChatPrompt,
        params: SamplingParams | None = None,
        *,
        request_id: str | None = None,
        **sampling: Any,
    ) -> str:
        """Add a request, at any time; it waits for the step in progress at most.

        Args:
            prompt: a text, token ids, or a list of messages (see ``chat``).
            params: how to sample; or give its fields as keywords (``max_tokens=64, n=2``).
            request_id: a name of your own for it.
            sampling: the fields of ``SamplingParams``.

        Returns:
            The request's id.

        Raises:
            RequestError: the engine can never serve it.
            SessionError: the session is closed, or its engine takes no requests.
        """
        self._check_open()
        engine = self._held.taking_requests("submit")
        told = self._loop.ahead
        with self._loop.turn():
            name = engine.add_request(prompt, params, request_id=request_id, **sampling)
            self._stops.look_again()
            self._loop.has_work()
            self._loop.tell(urgent=self._loop.state != "running")
        self._look_ahead(told)
        return name

    def chat(
        self,
        messages: Messages,
        params: SamplingParams | None = None,
        *,
        request_id: str | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> str:
        """Add a request for an answer to messages, put by the model's chat template; returns its id.

            session.chat([{"role": "user", "content": "Why is the sky blue?"}], max_tokens=64)

        ``pv.Conversation(session)`` does so turn by turn. Arguments are those of ``submit`` and of ``Engine.chat``.

        Raises:
            RequestError: there is no template, or messages or a parameter are at fault.
            SessionError: the session is closed, or its engine takes no requests.
        """
        self._check_open()
        self._held.taking_requests("chat")  # before anything is said of a template that it has not either
        template = Template(chat_template, add_generation_prompt, continue_final_message, chat_template_kwargs)
        prompt = template.prompt(getattr(self.engine, "tokenizer", None), messages)
        return self.submit(prompt, params, request_id=request_id, **sampling)

    def abort(self, request_id: str) -> bool:
        """End a request early; False if no unfinished one has that name."""
        self._check_open()
        told = self._loop.ahead
        with self._loop.turn():
            aborted = self._held.abort(request_id)
            self._stops.look_again()
            self._loop.notice()
            self._loop.tell(urgent=self._loop.state != "running")
        self._look_ahead(told)
        return aborted

    def has_ended(self, request_id: str) -> bool:
        """Whether a request is finished or was aborted here; False for one that this session knows nothing of."""
        output = self._held.outputs.get(request_id)
        return request_id in self._held.aborted or (output is not None and bool(output.finished))

    @property
    def outputs(self) -> dict[str, RequestOutput]:
        """The latest output of every request by its id; what still runs is there as far as it is."""
        return dict(self._held.outputs)

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
        told = self._loop.ahead
        added = self._stops.breakpoints.add(kind, block=block, tier=tier, sequence=sequence, before=break_before)
        self._look_ahead(told)
        return added

    @property
    def breakpoints(self) -> tuple[Breakpoint, ...]:
        """Where the run stops."""
        return self._stops.breakpoints.shown

    def clear_breakpoints(self) -> None:
        """Remove them all."""
        self._stops.breakpoints.clear()

    def predict(self, on: bool = True) -> Self:  # noqa: FBT001, FBT002 - a switch
        """Stop before each step that causes an eviction, a copy-on-write, a swap or a preemption, to guess what.

        ``status.upcoming`` says what kinds of events; ``guess`` what one expects; the next step what is chosen.
        """
        self._check_open()
        told = self._loop.ahead
        self._stops.predict(on=on)
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
        self._stops.guess(Pick(block, tier, sequence, request))
        return self

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """What was guessed, and what came of it."""
        return self._stops.predictions.made
