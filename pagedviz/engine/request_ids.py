"""What requests are called: an id names one request in a trace, so no other of the engine ever gets it."""

from __future__ import annotations

from typing import Any

from pagedviz.errors import RequestError
from pagedviz.values import sayable


class RequestIds:
    """The ids of one engine's requests, also of those that are over."""

    def __init__(self) -> None:
        self._next = 0
        self._taken: set[str] = set()

    def free(self, wanted: Any = None) -> str:
        """An id that no request has: the one that is wanted, or a new one.

        Raises:
            RequestError: it is taken, or is no text that a trace can hold.
        """
        if wanted is None:
            return self._new()
        if not isinstance(wanted, str) or wanted != sayable(wanted):
            raise RequestError(f"request_id={wanted!r}: must be a string that UTF-8 can write")
        if wanted in self._taken:
            raise RequestError(f"request_id={wanted!r} is taken: an id names one request in a trace")
        return str(wanted)  # numpy's texts are texts, which no trace takes

    def _new(self) -> str:
        while True:
            made = f"r{self._next}"
            self._next += 1
            if made not in self._taken:
                return made

    def take(self, request_id: str) -> None:
        """There is a request of this id now."""
        self._taken.add(request_id)
