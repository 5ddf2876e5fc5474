"""A trace as Chrome trace events, which ui.perfetto.dev and chrome://tracing open. Decides what is drawn where.

One process is the run. Its first thread is the engine: a slice per step, with the copies between the tiers and the
kernels nested in it, and evictions as instants. Then comes a thread per request: what it was doing, with its
preemptions and copy-on-writes. Counters follow the slots of each tier and the requests. A flow leads from a swap
out to the swap in that brings the same blocks back.

The events of a step are not timed one by one. Durations are measured; copies and kernels are laid one after
another from the step's beginning, instants stand there too, and counters change when the step is over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from pagedviz.events import (
    AnyEvent,
    BlockCopied,
    BlockEvicted,
    BlockFreed,
    KernelLaunched,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    StepStarted,
    SwappedIn,
    SwappedOut,
)
from pagedviz.trace.analysis.history import Meter
from pagedviz.trace.analysis.lanes import Lanes
from pagedviz.trace.export.chrome_events import ENGINE, RUN, Flows, Json, Slices, metadata, slice_of
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import MemoryUse, State
from pagedviz.trace.timing import Clock, Span

if TYPE_CHECKING:
    from pagedviz.trace.trace import Trace

_FIRST_REQUEST = 2
_OfRequest = RequestAdded | RequestScheduled | RequestPreempted | RequestFinished


def to_json(trace: Trace) -> bytes:
    """The trace as a JSON object with ``traceEvents``, sorted by time; times are in microseconds.

    Raises:
        TraceFormatError: an event contradicts what came before.
    """
    events = _Exporter(trace).run()
    about = {name: fact for name, fact in msgspec.to_builtins(trace.info).items() if fact is not None}
    return msgspec.json.encode({"traceEvents": events, "displayTimeUnit": "ms", "otherData": about})


class _Exporter:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.state = trace.start.copy()
        self.lanes = Lanes(self.state)
        self.meters = {tier: Meter(self.state, tier) for tier, size in self.state.num_blocks.items() if size}
        self.statuses = {name: request.status for name, request in self.state.requests.items()}
        self.running = Counter(self.statuses.values())
        self.threads: dict[str, int] = {}
        self.out: list[Json] = []
        self.shown: dict[str, Json] = {}
        self.flows = Flows()
        self.batch = Slices(Span(0, 0), 0, (), [])

    def run(self) -> list[Json]:
        state, clock = self.state, Clock(self.state.t_us)
        self._count(state.t_us, {tier: state.memory(tier) for tier in self.meters})
        for batch in self.trace.batches:
            span = clock.span(batch)
            self.batch = Slices(span, batch.step, batch.events, self.out)
            apply_batch(state, batch, self._look)
            self.lanes.after(state, batch, span)
            self._count(span.end_us, {tier: meter.after(batch) for tier, meter in self.meters.items()})
        self._draw_lanes()
        # A slice comes before what is nested in it, and a flow right behind the slice that it is tied to.
        ordered = [(event["ts"], index, event) for index, event in enumerate(self.out)] + self.flows.out
        ordered.sort(key=lambda item: item[:2])
        return [*self._names(), *(event for _, _, event in ordered)]

    def _look(self, state: State, event: AnyEvent) -> None:
        act = _ACTS.get(type(event))
        if act is not None:
            self.lanes.look(state, event)
            act(self, state, event)

    # -- instants and slices -----------------------------------------------------------------------------------

    def step(self, state: State, event: StepStarted) -> None:
        """The slice of the step; what comes later in the batch is nested in it."""
        if self.batch.finished is None:
            return
        scheduled = {
            f"{state.sequences[number].request}, sequence {number}": f"positions {start} to {start + count - 1}"
            for number, start, count in event.scheduled
        }
        self.batch.whole(self.batch.finished, scheduled)

    def kernel(self, state: State, event: KernelLaunched) -> None:  # noqa: ARG002 - one shape for all
        args = {"grid": event.grid, "launches": event.launches, "blocks_read": event.blocks_read}
        self.batch.nested(event.name, "kernel", event.duration_us, args)

    def swap(self, state: State, event: SwappedOut | SwappedIn) -> None:  # noqa: ARG002
        out = isinstance(event, SwappedOut)
        args = {"request": event.request, "bytes": event.num_bytes, "pairs": event.pairs}
        begin = self.batch.nested("swap out" if out else "swap in", "swap", event.duration_us, args)
        place = (begin, len(self.out) - 0.5)
        if out:
            self.flows.left([host for _, host in event.pairs], place)
        else:
            self.flows.came([host for host, _ in event.pairs], place)

    def gone(self, state: State, event: BlockFreed | BlockEvicted) -> None:  # noqa: ARG002
        if event.tier == "host":
            self.flows.lost(event.block)
        if isinstance(event, BlockEvicted):
            args = {"tier": event.tier, "block": event.block, "policy": event.policy, "reason": event.why}
            self.batch.instant("evicted", ENGINE, {**args, "age_steps": event.age, "content": event.hash})

    def preempt(self, state: State, event: RequestPreempted) -> None:
        args = {"mode": event.mode, "reason": event.reason, "blocks_freed": event.blocks_freed}
        self.status(state, event)
        thread = self._thread(event.request)
        self.batch.instant("preempted", thread, {**args, "tokens_lost": event.tokens_lost})

    def copy(self, state: State, event: BlockCopied) -> None:
        args = {"tier": event.tier, "source": event.source, "target": event.target, "logical": event.logical}
        sharers = [sequence for sequence, _ in state.blocks[event.tier][event.source].holders]
        reason = f"sequence {event.sequence} writes into a block that sequences {sharers} share"
        thread = self._thread(state.sequences[event.sequence].request)
        self.batch.instant("copy-on-write", thread, {**args, "sequence": event.sequence, "reason": reason})

    def status(self, state: State, event: _OfRequest) -> None:  # noqa: ARG002
        self.batch.named[event.request] = None
        self._thread(event.request)

    def _thread(self, request: str) -> int:
        return self.threads.setdefault(request, _FIRST_REQUEST + len(self.threads))

    # -- lanes, counters, names ----------------------------------------------------------------------------------

    def _draw_lanes(self) -> None:
        for request, stretches in self.lanes.stretches().items():
            for what, first, last, begin, end, open_ in stretches:
                args: Json = {"first_step": first, "last_step": last} if first <= last else {}
                if open_:
                    args["open"] = "the trace ends here"
                self.out.append(slice_of(what, "request", self._thread(request), begin, end, args))

    def _count(self, ts: int, memory: dict[str, MemoryUse]) -> None:
        for name in self.batch.named:
            self.running[self.statuses.get(name, "")] -= 1
            self.statuses[name] = self.state.requests[name].status
            self.running[self.statuses[name]] += 1
        running = self.running
        waiting = running["waiting"] + running["preempted"]
        series: dict[str, Json] = {
            f"{tier} slots": {key: getattr(use, key) for key in ("used", "cached", "internal", "free")}
            for tier, use in memory.items()
        }
        series["requests"] = {"running": running["running"], "waiting": waiting, "swapped": running["swapped"]}
        for name, values in series.items():
            if self.shown.get(name) != values:
                self.shown[name] = values
                self.out.append({"ph": "C", "name": name, "pid": RUN, "ts": ts, "args": values})

    def _names(self) -> list[Json]:
        """What the process and its threads are called, and in which order they stand."""
        info = self.trace.info
        found = [metadata("process_name", 0, {"name": f"pagedviz: {info.name}"})]
        where = [info.device, "device memory simulated in RAM" if info.simulated else None]
        facts = [", ".join(filter(None, where)), info.attention, info.dtype]
        found.append(metadata("process_labels", 0, {"labels": "; ".join(filter(None, facts))}))
        requests = [(f"request {name}", thread) for name, thread in self.threads.items()]
        for name, thread in [("engine", ENGINE), *requests]:
            found.append(metadata("thread_name", thread, {"name": name}))
            found.append(metadata("thread_sort_index", thread, {"sort_index": thread}))
        return found


# All that ``Lanes.look`` listens to is among them.
_ACTS: dict[type, Callable[[_Exporter, State, Any], None]] = {
    StepStarted: _Exporter.step,
    KernelLaunched: _Exporter.kernel,
    SwappedOut: _Exporter.swap,
    SwappedIn: _Exporter.swap,
    BlockFreed: _Exporter.gone,
    BlockEvicted: _Exporter.gone,
    BlockCopied: _Exporter.copy,
    RequestAdded: _Exporter.status,
    RequestScheduled: _Exporter.status,
    RequestPreempted: _Exporter.preempt,
    RequestFinished: _Exporter.status,
}
