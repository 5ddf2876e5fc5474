"""A conversation: questions and answers in turns, each prompt the one before, its answer, and a new question.

It decides how a history becomes a prompt: the tokens that a model wrote stay as they are and are never encoded
anew, for a text can be encoded in several ways, and a single other token ends the prefix that the cache finds. Only
what the chat template puts between an answer and the next one is encoded. It knows a session and a tokenizer.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pagedviz.chat import Template, token_ids
from pagedviz.errors import ConfigError, RequestError, SessionError
from pagedviz.events import PrefixHit, RequestAdded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pagedviz.session.session import Session

MAX_TOKENS = 256
"""Tokens in an answer, at most, where nothing else is said. ``SamplingParams``' own 16 would cut every answer."""


class Turn:
    """A question, and its answer as far as it is written.

    Attributes:
        question: what was said.
        request_id: the request that answers it.
        prompt_token_ids: the whole prompt: all turns before, and the question.
    """

    def __init__(self, session: Session, question: str, request_id: str, prompt: tuple[int, ...]) -> None:
        self._session = session
        self.question = question
        self.request_id = request_id
        self.prompt_token_ids = prompt

    @property
    def output(self) -> Any:
        """The request's ``RequestOutput`` so far; None before its first token."""
        return self._session.outputs.get(self.request_id)

    @property
    def finished(self) -> bool:
        """Whether the answer is whole, or was ended early."""
        return self._session.has_ended(self.request_id)

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.output.outputs[0].text if self.output is not None else ""

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The answer's tokens so far."""
        return tuple(self.output.outputs[0].token_ids) if self.output is not None else ()

    @property
    def found_tokens(self) -> int:
        """How many tokens of the prompt were found in memory, and so were not computed again."""
        found = 0
        for batch in reversed(self._session.trace.batches):
            for event in batch.events:
                if isinstance(event, RequestAdded) and event.request == self.request_id:
                    return found
                if isinstance(event, PrefixHit) and event.request == self.request_id and not event.resumed:
                    found = event.tokens
        return found

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        found = f"{self.found_tokens} of {len(self.prompt_token_ids)} prompt tokens found"
        return f"<Turn {self.request_id}, {found}{'' if self.finished else ', not finished'}: {self.text!r}>"


class Conversation:
    """Talks with a model, and keeps what was said.

        chat = pv.Conversation(session, system="Be brief.")
        print(chat.say("Why is the sky blue?"))
        turn = chat.say("And in the evening?")
        turn.found_tokens, len(turn.prompt_token_ids)

    Every turn's prompt begins with all turns before it, so their full blocks are found in the prefix cache. What
    the model wrote stays word for word, also what its template would leave out of earlier answers.

    Args:
        session: who generates. Several conversations, and other requests, can share one.
        params: how to sample, for every turn: a ``SamplingParams``, or its fields as keywords.
        system: what the model is told before the first question.
        chat_template: a template instead of the tokenizer's.
        sampling: the fields of ``SamplingParams``; ``max_tokens`` is 256 if neither says otherwise.

    Raises:
        ConfigError: ``session`` is no session.
        RequestError: more than one answer is asked for (``n``), or both ``params`` and keywords are given.
    """

    def __init__(
        self,
        session: Session,
        params: Any = None,
        *,
        system: str | None = None,
        chat_template: str | None = None,
        **sampling: Any,
    ) -> None:
        if not hasattr(session, "has_ended"):
            raise ConfigError(
                f"Conversation(session={type(session).__name__}): must be a session, such as pv.Session(engine)"
            )
        self._session = session
        self._params = params
        self._sampling = sampling
        self._begin = [] if system is None else [{"role": "system", "content": system}]
        self._template = Template(chat_template)
        self._turns: list[Turn] = []
        if params is not None and sampling:
            raise RequestError(f"give SamplingParams or keywords ({', '.join(sampling)}), not both")
        _check_one_answer(params, sampling)

    @property
    def session(self) -> Session:
        """Who generates."""
        return self._session

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What was asked and answered, in order."""
        return tuple(self._turns)

    @property
    def messages(self) -> list[dict[str, str]]:
        """All that was said, as messages."""
        said = [*self._begin]
        for turn in self._turns:
            said += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.text}]
        return said

    def say(self, text: str, params: Any = None, *, wait: bool = True, **sampling: Any) -> Turn:
        """Ask something, and return when it is answered.

        It returns sooner when the run stands still (somebody paused it, or a breakpoint was met); the turn is then
        not ``finished``, and resuming the session goes on with it.

        Args:
            text: what is said.
            params: how to sample this answer; None: as the conversation does.
            wait: False starts the session and returns at once, as a notebook wants whose buttons are to work
                meanwhile: ``await session.wait()`` in the next line.
            sampling: fields of ``SamplingParams`` for this answer, before those of the conversation.

        Returns:
            The turn. As a text (``print``) it is the answer; ``found_tokens`` says what was in memory already.

        Raises:
            RequestError: there is no chat template, or it does not take the messages, or a parameter is at fault.
            SessionError: the last answer is not finished; the session is closed, or failed.
        """
        if self._turns and not self._turns[-1].finished:
            raise SessionError(
                f"the answer to {self._turns[-1].question!r:.60} is not finished: session.start() goes on with it, "
                f"session.abort({self._turns[-1].request_id!r}) ends it"
            )
        params = self._params if params is None else params
        fields = sampling if params is not None else {"max_tokens": MAX_TOKENS, **self._sampling, **sampling}
        _check_one_answer(params, fields)
        prompt = self._prompt({"role": "user", "content": text})
        turn = Turn(self._session, text, self._session.submit(list(prompt), params, **fields), prompt)
        self._turns.append(turn)
        self._session.start()
        if wait:
            self._wait(turn)
        return turn

    def _wait(self, turn: Turn) -> None:
        """Return when the answer is finished or the run stands; Ctrl-C pauses it, as it does ``run``."""
        news = threading.Event()
        unwatch = self._session.watch(lambda urgent: news.set())  # noqa: ARG005 - a listener
        try:
            while not turn.finished and self._session.status.state == "running":
                news.wait()
                news.clear()
        except KeyboardInterrupt:
            self._session.pause()
            raise
        finally:
            unwatch()
        self._session.check()

    def _prompt(self, question: Mapping[str, str]) -> tuple[int, ...]:
        tokenizer = getattr(self._session.engine, "tokenizer", None)
        messages = [*self.messages, dict(question)]
        if not self._turns:
            return self._template.prompt(tokenizer, messages).token_ids
        last = self._turns[-1]
        mark = _unused("".join(message["content"] for message in messages))
        messages[-2] = {"role": "assistant", "content": mark}
        before, found, after = self._template.text(tokenizer, messages).rpartition(mark)
        if not found:  # a template that shows no answers has nothing to keep
            return self._template.prompt(tokenizer, [*self.messages, dict(question)]).token_ids
        bridge = _encoded_behind(tokenizer, before + mark, after)
        return (*last.prompt_token_ids, *_open_ended(last, bridge), *bridge)

    def __repr__(self) -> str:
        return f"<Conversation of {len(self._turns)} turns>"


def _open_ended(turn: Turn, bridge: list[int]) -> tuple[int, ...]:
    """The answer's tokens without the one that ended it: the template has its own way to end an answer.

    No content is lost for the cache: the last token that is drawn never gets K and V.
    """
    tokens, output = turn.token_ids, turn.output
    if not tokens:
        return tokens
    ended = output.outputs[0].finish_reason == "stop" and output.outputs[0].stop_reason is None
    return tokens[:-1] if ended or tokens[-1:] == tuple(bridge[:1]) else tokens


def _encoded_behind(tokenizer: Any, before: str, text: str) -> list[int]:
    """The tokens of a text that stands behind another one: some tokenizers begin every text with a space."""
    both, alone = token_ids(tokenizer, before + text), token_ids(tokenizer, before)
    return both[len(alone) :] if both[: len(alone)] == alone else token_ids(tokenizer, text)


def _unused(text: str) -> str:
    """A word that is not in the text."""
    number = 0
    while f"answer-{number}-is-here" in text:
        number += 1
    return f"answer-{number}-is-here"


def _check_one_answer(params: Any, sampling: Mapping[str, Any]) -> None:
    given = params if params is not None else sampling
    n = given.get("n", 1) if hasattr(given, "get") else getattr(given, "n", 1)
    if n != 1:
        raise RequestError(f"n={n!r}: a conversation goes on from one answer; best_of draws several and takes one")
