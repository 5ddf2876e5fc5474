"""Breakpoints: at which events a run is to stand still. Matches events; knows nothing of how a run works.

A breakpoint waits for events of steps that were taken, or (``before``) for a kind that the next step would cause.
What that is, it is told.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pagedviz.errors import ConfigError
from pagedviz.events import KINDS, AnyEvent, Batch, Event
from pagedviz.session.touches import check_block, check_kind, touches_block, touches_sequence
from pagedviz.values import whole

Predicate = Callable[[AnyEvent], Any]


class Breakpoint:
    """One of them; ``Breakpoints.add`` checks its arguments, ``Session.break_on`` says what they mean.

    Attributes:
        id: its number in its session, from 1; 0 for one that a call made for itself.
        text: what it waits for, for a person.
        before: the kind of event that it stops before, if it is one of those.
        error: what its predicate raised; it is then disabled.
    """

    def __init__(
        self,
        owner: Breakpoints,
        number: int,
        *,
        kind: type[Event] | None = None,
        predicate: Predicate | None = None,
        place: tuple[str, int] | None = None,
        sequence: int | None = None,
        before: str | None = None,
        step: int = 0,
    ) -> None:
        self._owner = owner
        self._kind, self._predicate, self._step = kind, predicate, step
        self._place, self._sequence = place, sequence
        self.before = before
        self._enabled = True
        self.id = number
        self.error: BaseException | None = None
        self.text = self._describe()

    @property
    def enabled(self) -> bool:
        """Whether it stops the run; may be set."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = bool(enabled)
        self._owner.changed()

    def remove(self) -> None:
        """Stop there no more; removing it twice does nothing."""
        self._owner.remove(self)

    def hit(self, batch: Batch) -> str:
        """What happened in the batch that it waits for; "" if nothing did.

        A predicate that raises disables its breakpoint, and that is said instead.
        """
        if not self._enabled or self.before is not None or batch.step < self._step:
            return ""
        name = f" (breakpoint {self.id})" if self.id else ""
        try:
            event = next(filter(self._matches, batch.events), None)
        except KeyboardInterrupt:
            raise  # it is of whoever pressed Ctrl-C
        except BaseException as error:  # noqa: BLE001 - whatever a person's own function raises: `sys.exit` too
            self._enabled, self.error = False, error
            return (
                f"the predicate{name} raised {type(error).__name__}: {error}, in step {batch.step}; it is disabled"
            )
        return "" if event is None else f"{type(event).__name__} in step {batch.step}{name}"

    def _matches(self, event: AnyEvent) -> bool:
        return (
            (self._kind is None or type(event) is self._kind)
            and (self._place is None or touches_block(event, *self._place))
            and (self._sequence is None or touches_sequence(event, self._sequence))
            and (self._predicate is None or bool(self._predicate(event)))
        )

    def _describe(self) -> str:
        if self.before is not None:
            return f"before {self.before}"
        parts = [self._kind.__name__ if self._kind else "any event"]
        if self._place is not None:
            parts.append("of {} block {}".format(*self._place))
        if self._sequence is not None:
            parts.append(f"of sequence {self._sequence}")
        if self._predicate is not None:
            parts.append(f"where {getattr(self._predicate, '__name__', repr(self._predicate))}")
        return " ".join(parts)

    def __repr__(self) -> str:
        return f"<Breakpoint {self.id}: {self.text}{'' if self._enabled else ', disabled'}>"


class Breakpoints:
    """The breakpoints of one session.

    Args:
        sizes: tier -> blocks in its pool.
        foretold: the kinds that can be known before a step.
        changed: called after every change.
    """

    def __init__(self, sizes: Mapping[str, int], foretold: tuple[str, ...], changed: Callable[[], None]) -> None:
        self._sizes = sizes
        self._foretold = foretold
        self._numbers = itertools.count(1)
        self.changed = changed
        # A tuple that is replaced: any thread may set one, while the run's walks over them.
        self._lock = threading.Lock()
        self.all: tuple[Breakpoint, ...] = ()

    def add(
        self,
        kind: str | type[Event] | Predicate | None = None,
        *,
        block: int | None = None,
        tier: str | None = None,
        sequence: int | None = None,
        before: str | type[Event] | None = None,
        step: int | None = None,
    ) -> Breakpoint:
        """Stop there from now on. One for a ``step`` has no number, and is no one's but its caller's.

        Raises:
            ConfigError: nothing is given, or a value is out of range; the message names it and the range.
        """
        given = [kind, block, tier, sequence, before]
        if before is not None and any(value is not None for value in given[:-1]):
            raise ConfigError("break_before stands alone: no event has happened yet that could be looked at")
        if all(value is None for value in given):
            raise ConfigError("a breakpoint needs something to wait for: kind, block, sequence or break_before")
        if tier is not None and block is None:
            raise ConfigError(f"tier={tier!r} goes with a block: give block=... too")
        record, predicate = _kind(kind)
        place = None if block is None else check_block(block, tier, self._sizes)
        if sequence is not None:
            sequence = whole("sequence", sequence, 0)
        check_kind(record, place, sequence)
        made = Breakpoint(
            self,
            next(self._numbers) if step is None else 0,
            kind=record,
            predicate=predicate,
            place=place,
            sequence=sequence,
            before=None if before is None else self._known_before(before),
            step=step or 0,
        )
        with self._lock:
            self.all = (*self.all, made)
        self.changed()
        return made

    def _known_before(self, before: str | type[Event]) -> str:
        name = before if isinstance(before, str) else getattr(before, "__name__", repr(before))
        if name not in self._foretold:
            valid = (
                f"what can be foretold is {', '.join(self._foretold)}"
                if self._foretold
                else "this engine foretells nothing"
            )
            raise ConfigError(f"break_before={before!r}: {valid}")
        return name

    def find(self, number: int) -> Breakpoint:
        """The breakpoint of that number.

        Raises:
            ConfigError: there is none.
        """
        for breakpoint_ in self.shown:
            if breakpoint_.id == number:
                return breakpoint_
        known = ", ".join(str(item.id) for item in self.shown) or "none"
        raise ConfigError(f"there is no breakpoint {number!r}; there are: {known}")

    def remove(self, gone: Breakpoint) -> None:
        """Forget one."""
        with self._lock:
            self.all = tuple(item for item in self.all if item is not gone)
        self.changed()

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self.all = tuple(item for item in self.all if not item.id)
        self.changed()

    @property
    def shown(self) -> tuple[Breakpoint, ...]:
        """Those that a person set."""
        return tuple(item for item in self.all if item.id)

    @property
    def ahead(self) -> tuple[Breakpoint, ...]:
        """Those that must know what the next step would cause."""
        return tuple(item for item in self.all if item.enabled and item.before is not None)

    def hits(self, batches: Iterable[Batch]) -> list[str]:
        """What happened that they wait for, once for each."""
        batches = tuple(batches)
        found = (next(filter(None, map(item.hit, batches)), "") for item in self.all)
        return [said for said in found if said]


def _kind(kind: str | type[Event] | Predicate | None) -> tuple[type[Event] | None, Predicate | None]:
    if kind is None:
        return None, None
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind], None
    if isinstance(kind, type) and kind in KINDS.values():
        return kind, None
    if callable(kind) and not isinstance(kind, type):
        return None, kind
    raise ConfigError(f"kind={kind!r} is no kind of event and no function; valid: {', '.join(KINDS)}")
