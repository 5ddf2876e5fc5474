"""Predictions: what a person expects of the next step, and whether it came so. Data, and the comparison.

The engine's part in it is told: what the next step causes (not what it chooses), who belongs to which request, and
what happened. Knows nothing of threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from pagedviz.errors import ConfigError, SessionError
from pagedviz.events import (
    ASK_WHO,
    GUESSED,
    AnyEvent,
    Batch,
    BlockCopied,
    BlockEvicted,
    RequestPreempted,
    SwappedIn,
    SwappedOut,
)


class Pick(msgspec.Struct, frozen=True, omit_defaults=True):
    """A block of a tier, a sequence or a request: what was guessed, or what was chosen. The others are None."""

    block: int | None = None
    tier: str | None = None
    sequence: int | None = None
    request: str | None = None


class Prediction(msgspec.Struct, frozen=True):
    """A guess, and what happened.

    ``step`` is the one whose events have it; what stands of a step that failed is with the step before.
    ``choice`` is what the step chose, in the guess's terms: the blocks that were evicted, copied or moved; the
    sequences or requests that copied or were moved or preempted. ``why`` is the reason that the event gives.
    """

    step: int
    kind: str
    guess: Pick
    choice: tuple[Pick, ...]
    why: str
    right: bool


class Upcoming(msgspec.Struct, frozen=True):
    """What the next step causes, without what it chooses."""

    step: int
    kinds: tuple[str, ...]


class Predictions:
    """The guesses of one session.

    Attributes:
        on: whether the run stops for guesses.
        upcoming: what is to be guessed now; None while there is nothing.
        guess: what was guessed of it.
        made: what came of earlier ones.
    """

    def __init__(self) -> None:
        self.on = False
        self.upcoming: Upcoming | None = None
        self.guess: Pick | None = None
        self.made: tuple[Prediction, ...] = ()
        self._requests: Mapping[int, str] = {}
        self._blocks: Mapping[int, Iterable[tuple[str, int]]] = {}

    @property
    def score(self) -> tuple[int, int]:
        """How many were right, and how many there are."""
        return sum(prediction.right for prediction in self.made), len(self.made)

    def switch(self, *, on: bool) -> None:
        """Ask for guesses from now on, or no more."""
        self.on = on
        if not on:
            self.forget()

    def forget(self) -> None:
        """Nothing is ahead that could be guessed, or nobody asks."""
        self.upcoming = self.guess = None

    def ask(
        self,
        step: int,
        kinds: tuple[str, ...],
        requests: Mapping[int, str],
        blocks: Mapping[int, Iterable[tuple[str, int]]],
    ) -> None:
        """A step is ahead that causes these kinds. What was guessed stays as long as it answers the question.

        Args:
            step: its number.
            kinds: what it causes.
            requests: sequence -> its request.
            blocks: sequence -> the (tier, block) pairs in its tables.
        """
        before, self.upcoming = self.upcoming, Upcoming(step, kinds)
        self._requests, self._blocks = requests, blocks
        if self.guess is not None and not (before and self._still_answers(self.guess, before, self.upcoming)):
            self.guess = None

    def _still_answers(self, guess: Pick, before: Upcoming, now: Upcoming) -> bool:
        asked = {kind for kind in before.kinds if self._answers(guess, kind)}
        return (
            before.step == now.step
            and not asked.isdisjoint(now.kinds)
            and (guess.sequence is None or guess.sequence in self._requests)
            and (guess.request is None or guess.request in self._requests.values())
        )

    def _owners(self, pick: Pick) -> list[str]:
        """The requests that have the block, if it is one."""
        if pick.block is None:
            return []
        place = (pick.tier, pick.block)
        return sorted(
            {self._requests[id_] for id_, blocks in self._blocks.items() if any(place == entry for entry in blocks)}
        )

    def _answers(self, guess: Pick, kind: str) -> bool:
        """Whether the guess is one for this kind of decision."""
        return _term(guess) in GUESSED[kind] and not (kind in ASK_WHO and len(self._owners(guess)) > 1)

    def take(self, pick: Pick) -> None:
        """Note what a person expects; a later guess for the same step replaces it.

        Raises:
            SessionError: there is nothing to guess, or not in these terms, or the block is of several requests
                where it is asked who.
            ConfigError: there is no such sequence or request.
        """
        upcoming = self.upcoming
        if upcoming is None:
            raise SessionError("there is nothing to guess: predict(True) stops the run where there is")
        terms = {name for kind in upcoming.kinds for name in GUESSED[kind]}
        if _term(pick) not in terms:
            kinds, valid = ", ".join(upcoming.kinds), " or ".join(sorted(terms))
            raise SessionError(f"step {upcoming.step} causes {kinds}: guess a {valid}, not a {_term(pick)}")
        requests = self._requests
        if pick.sequence is not None and pick.sequence not in requests:
            raise ConfigError(f"sequence={pick.sequence!r} is none of {sorted(requests)}")
        if pick.request is not None and pick.request not in requests.values():
            raise ConfigError(f"request={pick.request!r} is none of {sorted(set(requests.values()))}")
        if not any(self._answers(pick, kind) for kind in upcoming.kinds):
            owners = ", ".join(self._owners(pick))
            raise SessionError(
                f"step {upcoming.step} causes {', '.join(upcoming.kinds)}: block {pick.block} belongs to requests "
                f"{owners}; guess a block that only one of them has, or a request"
            )
        self.guess = pick

    def judge(self, batches: Iterable[Batch], *, over: bool) -> None:
        """A step was tried: compare, if anything was guessed.

        Args:
            batches: what happened.
            over: the step was taken. What a failed step decided stands; a guess that was not right then, and could
                still have become so, makes no prediction.
        """
        guess, upcoming = self.guess, self.upcoming
        self.forget()
        if guess is None or upcoming is None:
            return
        events = [(batch.step, event) for batch in batches for event in batch.events]
        why_preempted = {event.request: event.reason for _, event in events if isinstance(event, RequestPreempted)}
        found: Prediction | None = None
        order = list(GUESSED)
        decisions = [item for item in events if _is_decision(item[1])]
        for step, event in sorted(decisions, key=lambda item: order.index(type(item[1]).__name__)):
            kind = type(event).__name__
            if not self._answers(guess, kind):
                continue
            picks = tuple(dict.fromkeys(_in_terms(self._picks(event), guess)))
            why = _why(event, why_preempted)
            if guess in picks:
                found = Prediction(step, kind, guess, picks, why, right=True)
                break
            if found is None:
                found = Prediction(step, kind, guess, picks, why, right=False)
        happened = {type(event).__name__ for _, event in events}
        open_ = any(self._answers(guess, kind) for kind in upcoming.kinds if kind not in happened)
        if found is not None and (found.right or over or not open_):
            self.made = (*self.made, self._all_of_kind(found, events))

    def _all_of_kind(self, made: Prediction, events: Iterable[tuple[int, AnyEvent]]) -> Prediction:
        """The prediction with all that the step chose of its kind, not only what it was compared with first."""
        same = (event for _, event in events if type(event).__name__ == made.kind)
        picks = (pick for event in same for pick in _in_terms(self._picks(event), made.guess))
        return msgspec.structs.replace(made, choice=tuple(dict.fromkeys(picks)))

    def _picks(self, event: AnyEvent) -> Iterator[Pick]:
        match event:
            case BlockEvicted():
                yield Pick(event.block, event.tier)
            case BlockCopied():
                yield Pick(event.source, event.tier, event.sequence, self._requests.get(event.sequence))
            case SwappedOut() | SwappedIn():
                source = "device" if isinstance(event, SwappedOut) else "host"
                yield from (Pick(block, source) for block, _ in event.pairs)
                yield from self._of_request(event.request)
            case RequestPreempted():
                yield from self._of_request(event.request)
                for sequence, request in self._requests.items():
                    if request == event.request:
                        yield from (Pick(block, tier) for tier, block in self._blocks.get(sequence, ()))

    def _of_request(self, request: str) -> Iterator[Pick]:
        if request:
            yield Pick(request=request)
            for sequence, of in self._requests.items():
                if of == request:
                    yield Pick(sequence=sequence, request=request)


def _is_decision(event: AnyEvent) -> bool:
    """Not so a swap of what is being evicted: that it goes down follows from the eviction."""
    return type(event).__name__ in GUESSED and not (isinstance(event, SwappedOut) and not event.request)


def _term(pick: Pick) -> str:
    if pick.block is not None:
        return "block"
    return "sequence" if pick.sequence is not None else "request"


def _in_terms(picks: Iterable[Pick], guess: Pick) -> Iterator[Pick]:
    """What was chosen, said as the guess is."""
    for pick in picks:
        if guess.block is not None and pick.block is not None:
            yield Pick(pick.block, pick.tier)
        elif guess.sequence is not None and pick.sequence is not None:
            yield Pick(sequence=pick.sequence)
        elif guess.request is not None and pick.request is not None:
            yield Pick(request=pick.request)


def _why(event: AnyEvent, why_preempted: Mapping[str, str]) -> str:
    match event:
        case BlockEvicted():
            return f"{event.policy}: {event.why}"
        case RequestPreempted():
            return event.reason
        case BlockCopied():
            return f"sequence {event.sequence} was about to write into block {event.source}, which it shared"
        case SwappedOut():
            return why_preempted.get(event.request, "")
        case SwappedIn():
            return f"request {event.request} goes on, and its content was in the host tier"
        case _:
            return ""
