"""Callers share the steps: whoever takes one, what it brings waits until the caller whose request it is takes it.

Decides who takes a step and who gets which output. What a step is, is decided in ``core``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from pagedviz.engine.core import EngineCore
from pagedviz.engine.outputs import RequestOutput
from pagedviz.engine.request import Request


class Delivery:
    """Steps a core for its callers, and keeps the outputs that nobody has taken yet.

    Args:
        core: what is stepped.
        turn: held by the caller of every method but ``drive``, which takes it for each of its steps.
    """

    def __init__(self, core: EngineCore, turn: AbstractContextManager[None]) -> None:
        self._core = core
        self._turn = turn
        self._waiting: dict[str, RequestOutput] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def step(self) -> None:
        """Run one step; what it brings waits here, also when a subscriber raises."""
        core = self._core
        try:
            core.step()
        finally:
            while core.touched:
                request_id, request = next(iter(core.touched.items()))
                self._waiting[request_id] = request.output()
                del core.touched[request_id]

    def take_all(self) -> list[RequestOutput]:
        """What is new of all requests."""
        taken, self._waiting = self._waiting, {}
        return list(taken.values())

    def drop(self, request_id: str) -> None:
        """Nobody wants the output of this request any more."""
        self._waiting.pop(request_id, None)

    def drive(self, begun: Sequence[tuple[Request, tuple[str, ...]]]) -> Iterator[RequestOutput]:
        """Queue requests, with their prompts' pieces, and step until they have ended; yields what is new of them.

        A loop that is left early aborts them.
        """
        mine = [request.id for request, _ in begun]
        try:
            with self._turn:
                for request, texts in begun:
                    self._core.add(request, texts)
            while (news := self._next(mine)) is not None:
                yield from news
        finally:
            with self._turn:
                self._core.abort([self._core.requests[i] for i in mine if i in self._core.requests])
                for request_id in mine:
                    self.drop(request_id)

    def _next(self, mine: Sequence[str]) -> list[RequestOutput] | None:
        """What is new of these requests, else a step for them; None once they have ended."""
        with self._turn:
            # Another stream's step, or another thread's, may have brought some of it.
            news = [self._waiting.pop(name) for name in mine if name in self._waiting]
            if not news:
                if not any(name in self._core.requests for name in mine):
                    return None
                self.step()
        return news
