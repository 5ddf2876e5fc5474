"""May this process compute: not if it is a fork of one that did. Knows process ids, not what is computed.

``os.fork`` copies memory but not threads. The pools of threads that torch and numba compute with are then believed
to be there and are not: the child waits for ever, or is aborted. So it is told before anything is computed.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType

from pagedviz.errors import SessionError

_computes: list[int] = []
"""The process whose threads these are, once it has computed: a fact of the process, so it belongs to no engine."""


def check_process() -> None:
    """Note that this process computes.

    Raises:
        SessionError: it is a fork of one that did.
    """
    pid = os.getpid()
    if not _computes:
        _computes.append(pid)
    if _computes[0] != pid:
        raise SessionError(
            f"process {pid} is a fork of process {_computes[0]}, in which an engine was made: the threads that "
            "compute are not in it. Start processes with multiprocessing.get_context('spawn'), or fork before the "
            "first engine is made"
        )


class Turn:
    """A lock of one engine: its calls take turns. In a forked process it raises instead of waiting for ever."""

    def __init__(self) -> None:
        check_process()
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        check_process()  # first: a thread that is not in this process may have had the lock when it was forked
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._lock.release()
