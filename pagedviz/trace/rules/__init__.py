"""What each kind of event means: one function a kind, by family. Collected in ``trace/reducer``.

A rule changes the state in place and raises ``ValueError``, ``KeyError`` or ``IndexError`` if the event
contradicts it. JavaScript twin, file by file: ``browser/run/rules``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from pagedviz.trace.state import State

Rule = Callable[[State, Any], None]


def contradiction(reason: str) -> NoReturn:
    """The event cannot have happened in this state."""
    raise ValueError(reason)
