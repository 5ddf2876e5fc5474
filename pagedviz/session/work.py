"""An engine as the stepper's ``Work``: what is stepped in a session. Keeps the latest outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagedviz.engine import Engine, RequestOutput


class EngineWork:
    """Takes the engine's steps."""

    def __init__(self, engine: Engine, outputs: dict[str, RequestOutput]) -> None:
        self._engine = engine
        self._outputs = outputs

    def pending(self) -> bool:
        """Whether the engine has anything to do, or to return."""
        return self._engine.has_unfinished_requests()

    def step(self) -> None:
        """Take a step."""
        for output in self._engine.step():
            self._outputs[output.request_id] = output

    def abandon(self) -> None:
        """Abort what is unfinished."""
        for request_id in self._engine.unfinished_request_ids():
            self._engine.abort(request_id)
