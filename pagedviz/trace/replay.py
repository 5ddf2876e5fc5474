"""The state after any number of batches: nearest keyframe, then the events from there.

Keyframes are kept as replay passes them, so the first jump to the end costs one pass and later jumps a
fraction of it. What events mean is decided in ``trace/reducer``.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence

from pagedviz.events import Batch
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State

EVENTS_PER_KEYFRAME = 8192


class Replay:
    """States of one run. ``batches`` may grow at its end; what is there never changes."""

    def __init__(
        self, start: State, batches: Sequence[Batch], events_per_keyframe: int = EVENTS_PER_KEYFRAME
    ) -> None:
        self._batches = batches
        self._every = events_per_keyframe
        self._counts = [0]
        self._keyframes = [start.copy()]
        self._lock = threading.Lock()

    def after(self, count: int) -> State:
        """The state after the first ``count`` batches; it belongs to the caller, but for what is over.

        Raises:
            TraceFormatError: an event on the way contradicts what came before.
        """
        with self._lock:
            nearest = bisect_right(self._counts, count) - 1
            begin = self._counts[nearest]
            state = self._keyframes[nearest].copy()
            for index in range(begin, count):
                apply_batch(state, self._batches[index])
                passed = state.seq - self._keyframes[-1].seq
                if passed >= self._every and passed >= _weight(state):
                    self._counts.append(index + 1)
                    self._keyframes.append(state.copy())
            return state


def _weight(state: State) -> int:
    """What a copy of the state costs, in events: keyframes never cost more than the replay between them."""
    blocks = sum(len(held) for held in state.blocks.values())
    tokens = sum(len(sequence.tokens) for sequence in state.sequences.values() if not state.is_over(sequence))
    return (len(state.sequences) + blocks + tokens) // 16
