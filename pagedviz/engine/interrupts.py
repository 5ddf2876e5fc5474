"""Ctrl-C, and a notebook's interrupt, wait while tables change; a long forward lets them through.

Only the main thread is ever interrupted, so elsewhere this does nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """Holds back SIGINT inside ``held``, except inside ``allowed``."""

    def __init__(self) -> None:
        self._handler: Any = None
        self._pending: tuple[int, FrameType | None] | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """An interrupt that comes in here is delivered on the way out of the outermost ``held``."""
        handler = signal.getsignal(signal.SIGINT)
        elsewhere = threading.current_thread() is not threading.main_thread()
        if elsewhere or not callable(handler) or self._handler is not None:
            yield
            return
        self._handler, self._pending = handler, None
        signal.signal(signal.SIGINT, self._hold)
        try:
            yield
        finally:
            self._handler = None
            signal.signal(signal.SIGINT, handler)
            self._deliver(handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Inside ``held``: an interrupt is delivered at once."""
        handler = self._handler
        if handler is None:
            yield
            return
        signal.signal(signal.SIGINT, handler)
        try:
            self._deliver(handler)
            yield
        finally:
            signal.signal(signal.SIGINT, self._hold)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._pending = (number, frame)

    def _deliver(self, handler: Any) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            handler(*pending)
