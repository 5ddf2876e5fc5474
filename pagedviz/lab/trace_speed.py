"""How fast events are recorded, written, read, folded into a state and moved around in: measured on a long run.

Reading is compared with the standard library's ``json`` on the same lines, which checks nothing and keeps nothing.
"""

from __future__ import annotations

import gc
import json
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagedviz.events import EventBus, codec
from pagedviz.lab.long_run import long_run
from pagedviz.lab.workloads import check_count
from pagedviz.trace import Recorder, State, Trace, apply_batch

JUMPS = 20
"""Steps that are jumped to."""


@dataclass(frozen=True)
class TraceSpeed:
    """Events per second of processor time, one value per round; sizes; and times of jumps.

    Attributes:
        events: of the run.
        record: a bus hands batches to a recorder, which keeps and encodes them.
        encode, decode: batches to lines, and lines to batches.
        loads: the lines through ``json.loads``.
        reduce: batches folded into a state.
        plain, packed: bytes of the file, as lines and with gzip.
        jump_ms: milliseconds of ``state_at``, one value per random step, when the run was passed once.
    """

    events: int
    record: tuple[float, ...]
    encode: tuple[float, ...]
    decode: tuple[float, ...]
    loads: tuple[float, ...]
    reduce: tuple[float, ...]
    plain: int
    packed: int
    jump_ms: tuple[float, ...]


class _Source:
    """The start of a run as a recorder sees an engine; whoever publishes on the bus drives it."""

    def __init__(self, trace: Trace) -> None:
        self.info = trace.info
        self.bus = EventBus()
        self.subscribe = self.bus.subscribe
        self._start = trace.start

    def snapshot(self) -> State:
        return self._start.copy()


def trace_speed(num_events: int, rounds: int) -> TraceSpeed:
    """Measure a run of at least ``num_events`` events; what is measured takes turns.

    Raises:
        ConfigError: a number is below 1.
    """
    check_count("rounds", rounds)
    trace = long_run(num_events)
    lines = [codec.encode_batch(batch) for batch in trace.batches]
    works: dict[str, Callable[[], object]] = {
        "record": lambda: _record(trace),
        "encode": lambda: [codec.encode_batch(batch) for batch in trace.batches],
        "decode": lambda: [codec.decode_batch(line) for line in lines],
        "loads": lambda: deque(map(json.loads, lines), maxlen=0),
        "reduce": lambda: _reduce(trace),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            rates[name].append(trace.num_events / _processor_s(work))
    plain, packed = _sizes(trace)
    found: dict[str, Any] = {name: tuple(values) for name, values in rates.items()}
    return TraceSpeed(trace.num_events, plain=plain, packed=packed, jump_ms=tuple(_jumps(trace)), **found)


def _processor_s(work: Callable[[], object]) -> float:
    gc.collect()  # not what the last one left
    began = time.process_time()
    work()
    return time.process_time() - began


def _record(trace: Trace) -> None:
    source = _Source(trace)
    recorder = Recorder(source)
    for batch in trace.batches:
        source.bus.publish(batch.step, batch.events)
    recorder.close()


def _reduce(trace: Trace) -> None:
    state = trace.start.copy()
    for batch in trace.batches:
        apply_batch(state, batch)


def _sizes(trace: Trace) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.pvtrace"
        trace.save(path)
        return len(trace.to_bytes()), path.stat().st_size


def _jumps(trace: Trace) -> Iterable[float]:
    trace.state_at(trace.last_step)
    steps = range(trace.first_step, trace.last_step + 1)
    for step in random.Random(0).sample(steps, min(JUMPS, len(steps))):  # noqa: S311 - a workload, not a secret
        began = time.perf_counter()
        trace.state_at(step)
        yield 1000 * (time.perf_counter() - began)
