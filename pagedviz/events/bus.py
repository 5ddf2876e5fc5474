"""Order and time: the bus numbers and times events, one batch at a time, and hands them on.

It knows nothing about what an event means or who listens.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence

from pagedviz.events.kinds import Event
from pagedviz.events.records import AnyEvent, Batch

Emit = Callable[[AnyEvent], None]
Subscriber = Callable[[Batch], None]


def discard(event: Event) -> None:
    """Do nothing: what emits when nobody listens."""


class EventBus:
    """Gives each batch its sequence number, step and time, and calls the subscribers in order."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []
        self._began = time.perf_counter_ns()
        self._undelivered: deque[Batch] = deque()
        self._delivering = False
        self.next_seq = 0

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber(batch)`` for every batch from now on; returns the function that ends it."""
        self._subscribers.append(subscriber)
        bus = weakref.ref(self)  # a recording that can be ended does not keep the engine's other listeners

        def unsubscribe() -> None:
            found = bus()
            if found is not None and subscriber in found._subscribers:  # noqa: SLF001 - it is this class's
                found._subscribers.remove(subscriber)  # noqa: SLF001

        return unsubscribe

    def now_us(self) -> int:
        """Microseconds since the bus was made."""
        return (time.perf_counter_ns() - self._began) // 1000

    def publish(self, step: int, events: Sequence[AnyEvent]) -> None:
        """Deliver one batch to every subscriber, also when one of them raises; the first error goes on after.

        What a subscriber causes to be published meanwhile (say, by aborting a request) is delivered next, so
        that everybody hears everything in the same order.

        Raises:
            BaseException: whatever the first failing subscriber raised, once all have had the batch.
        """
        if not events:
            return
        self._undelivered.append(Batch(self.next_seq, step, self.now_us(), tuple(events)))
        self.next_seq += len(events)
        if self._delivering:
            return
        self._delivering = True
        failure: BaseException | None = None
        try:
            while self._undelivered:
                batch = self._undelivered.popleft()
                for subscriber in tuple(self._subscribers):
                    try:
                        subscriber(batch)
                    except BaseException as error:  # noqa: BLE001 - the others must still hear of it, then it is raised
                        failure = failure or error
        finally:
            self._delivering = False
        if failure is not None:
            raise failure
