"""When batches happened, from what the bus and the steps say of time."""

from __future__ import annotations

from typing import NamedTuple

from pagedviz.events import Batch, StepFinished, SwappedIn, SwappedOut


class Span(NamedTuple):
    """From when to when, in microseconds since the engine began; ``end_us`` is never before ``begin_us``."""

    begin_us: int
    end_us: int


class Clock:
    """The span of each batch, asked for in order. Time never goes back, and spans never overlap.

    A batch is timed when it is over. A step lasts as long as it says, what moved without a step (one that failed)
    as long as its copies took, but neither begins before what came earlier was over; other batches have no length.
    """

    def __init__(self, t_us: int) -> None:
        self.now_us = t_us

    def span(self, batch: Batch) -> Span:
        """When the next batch happened."""
        step = [event.duration_us for event in batch.events if isinstance(event, StepFinished)]
        copies = (event.duration_us for event in batch.events if isinstance(event, (SwappedOut, SwappedIn)))
        took = max(0, step[0] if step else sum(copies))
        end = max(self.now_us, batch.t_us)
        begin = max(self.now_us, end - took)
        self.now_us = end
        return Span(begin, end)
