"""Who watches a run. An error of theirs is never the run's: it is logged and said, and the run goes on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

Listener = Callable[[bool], None]
"""Called between two steps when there is news; True if it cannot wait."""

_log = logging.getLogger(__name__)


class Listeners:
    """Those that are called, in the order in which they came."""

    def __init__(self) -> None:
        self._all: list[Listener] = []

    def __len__(self) -> int:
        return len(self._all)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call it from now on; returns the function that ends it."""
        listeners = self._all  # a view that keeps what ends it does not keep the run
        listeners.append(listener)

        def remove() -> None:
            with contextlib.suppress(ValueError):
                listeners.remove(listener)

        return remove

    def tell(self, *, urgent: bool) -> Iterator[str]:
        """Call all of them, and yield what is to be said of each that failed. It is not called again."""
        for listener in tuple(self._all):
            if failed := call_view(listener, urgent):
                with contextlib.suppress(ValueError):  # it may have gone of itself meanwhile
                    self._all.remove(listener)
                yield failed

    def clear(self) -> None:
        """Call nobody any more."""
        self._all.clear()


def call_view(call: Callable[..., None], *args: object) -> str:
    """Call a view; returns what to say if that failed, else ""."""
    try:
        call(*args)
    except Exception as error:  # noqa: BLE001 - whatever a view raises
        _log.exception("A view failed")
        return f"A view failed: {type(error).__name__}: {error}"
    return ""
