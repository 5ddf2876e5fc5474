"""What a loop steps, and who may hold it up: two protocols. The session puts an engine and its stops there."""

from __future__ import annotations

from typing import Protocol


class Work(Protocol):
    """What is stepped. No two of its methods are ever called at the same time."""

    def pending(self) -> bool:
        """Whether there is anything left to do."""

    def step(self) -> None:
        """Do the next piece."""

    def abandon(self) -> None:
        """Give up what is left."""


class Gate(Protocol):
    """Says when the run must stand still. Called on the loop's thread, between two steps."""

    def before(self, *, standing: bool) -> str:
        """What the next step would cause, if that is a reason not to take it yet; "" if the run stood there before.

        While the run is ``standing`` it is said every time.
        """

    def after(self, *, step: bool) -> str:
        """Why the run must stand after a step that was tried, or after what came between two; "" if it need not."""


class Open:
    """A gate that lets everything pass."""

    def before(self, *, standing: bool) -> str:  # noqa: ARG002 - a gate's
        """Nothing speaks against the next step."""
        return ""

    def after(self, *, step: bool) -> str:  # noqa: ARG002
        """Nothing is a reason to stand."""
        return ""
