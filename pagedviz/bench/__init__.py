"""Measurements of the engine against ``model.generate`` in the same run, and of what recording costs."""

from pagedviz.bench.equality import Disagreement, EqualityRow, equality
from pagedviz.bench.prompts import PROMPTS
from pagedviz.bench.throughput import RecordingRow, ThroughputRow, recording, throughput

__all__ = [
    "PROMPTS",
    "Disagreement",
    "EqualityRow",
    "RecordingRow",
    "ThroughputRow",
    "equality",
    "recording",
    "throughput",
]
