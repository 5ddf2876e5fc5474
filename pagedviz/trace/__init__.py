"""A run as data: recording, file, reducer, state at any step. Needs neither torch nor an engine."""

from pagedviz.trace.analysis.history import MemoryPoint, last_step_in_use, memory_history
from pagedviz.trace.invariants import contradictions
from pagedviz.trace.recorder import Lines, Recordable, Recorder, record
from pagedviz.trace.reducer import apply, apply_batch
from pagedviz.trace.replay import Replay
from pagedviz.trace.state import Block, Counters, MemoryUse, Request, Sequence, State
from pagedviz.trace.trace import Trace

__all__ = [
    "Block",
    "Counters",
    "Lines",
    "MemoryPoint",
    "MemoryUse",
    "Recordable",
    "Recorder",
    "Replay",
    "Request",
    "Sequence",
    "State",
    "Trace",
    "apply",
    "apply_batch",
    "contradictions",
    "last_step_in_use",
    "memory_history",
    "record",
]
