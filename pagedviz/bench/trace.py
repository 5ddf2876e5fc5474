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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pagedviz.bench.rows import Rows, percentiles
from pagedviz.events import EventBus, codec
from pagedviz.lab.long_run import long_run
from pagedviz.lab.workloads import check_count
from pagedviz.trace import Recorder, State, Trace, apply_batch

JUMPS = 20
"""Steps that are jumped to."""


class _Source:
    """The start of a run as a recorder sees an engine; whoever publishes on the bus drives it."""

    def __init__(self, trace: Trace) -> None:
        self.info = trace.info
        self.bus = EventBus()
        self.subscribe = self.bus.subscribe
        self._start = trace.start

    def snapshot(self) -> State:
        return self._start.copy()


def trace(events: int, rounds: int) -> Rows:
    """Events recorded, encoded, decoded and reduced per second of processor time; bytes; jumps to a step. No model.

    Of a long run that a real block manager makes. Decoding, which keeps the events, is compared with json.loads on
    the same lines, which checks nothing and keeps nothing. The p20, p50, p80 and max of jumps are over 20 random
    steps, when the run was passed once.

    Args:
        events: of the run, at least.
        rounds: what is measured takes turns in each.

    Raises:
        ConfigError: a number is below 1.
    """
    check_count("rounds", rounds)
    run = long_run(events)
    lines = [codec.encode_batch(batch) for batch in run.batches]
    works: dict[str, Callable[[], object]] = {
        "record": lambda: _record(run),
        "encode": lambda: [codec.encode_batch(batch) for batch in run.batches],
        "decode": lambda: [codec.decode_batch(line) for line in lines],
        "json.loads": lambda: deque(map(json.loads, lines), maxlen=0),
        "reduce": lambda: _reduce(run),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            rates[name].append(run.num_events / _processor_s(work))
    plain, packed = _sizes(run)
    rows = [_row(name, "events/s", values) for name, values in rates.items()]
    rows += [
        _row("plain", "bytes/event", [plain / run.num_events]),
        _row("packed", "bytes/event", [packed / run.num_events]),
        _row("state_at", "ms", [*_jumps(run)]),
    ]
    return [{"events": run.num_events, **row} for row in rows], True


def _row(what: str, unit: str, values: Sequence[float]) -> dict[str, Any]:
    p20, p50, p80, most = (
        round(value, None if value >= 1000 else 2) for value in (*percentiles(values), max(values))
    )
    return {"what": what, "unit": unit, "p20": p20, "p50": p50, "p80": p80, "max": most}


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
