"""The stream on which copies between the tiers run, at the same time as the kernels of the steps.

Knows streams, and neither pools nor blocks.

*Main* is the stream that the kernels of the steps are launched on. A copy may touch staging memory only, never
the pools: so nothing that main does to a pool has to wait for a copy, unless it was asked to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

Ended = Callable[[], int]
"""The host waits until a copy has ended; returns how many microseconds the copy took."""


class CopyStream(Protocol):
    """A stream for copies alone: runs them in the order in which they are launched, while main runs kernels."""

    def launch(self, copy: Callable[[], object], *, before_next: bool) -> Ended:
        """Run a copy after what main was given so far.

        Args:
            copy: launches it; what it reads and writes must be held until somebody has waited for its end.
            before_next: what main is given from here on waits for the copy. Otherwise both run at the same time.
        """
        ...


class CudaCopyStream:
    """On an accelerator: a CUDA stream of its own."""

    def __init__(self, device: torch.device) -> None:
        self._cuda: Any = torch.cuda  # its functions have no types
        self._device = device
        self._stream = self._cuda.Stream(device)

    def launch(self, copy: Callable[[], object], *, before_next: bool) -> Ended:
        """See ``CopyStream``; the time is taken by events around the copy, and so without what it waited for."""
        began, ended = (self._cuda.Event(enable_timing=True) for _ in range(2))
        main = self._cuda.current_stream(self._device)
        self._stream.wait_stream(main)
        with self._cuda.stream(self._stream):
            began.record(self._stream)
            copy()
            ended.record(self._stream)
        if before_next:
            main.wait_event(ended)

        def wait() -> int:
            ended.synchronize()
            milliseconds: float = began.elapsed_time(ended)
            return round(1000 * milliseconds)

        return wait
