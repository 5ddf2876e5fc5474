"""What rival allocators would do with the requests that an engine is serving, live or from a trace.

Each rival has a pool of its own, as large as the engine's, and a queue of its own. The engine is the clock:
with every step of its, each rival writes what its requests have and lets in who fits (``serving``). A request
has the tokens that it has in the engine, and when it ends there it ends here, even while a rival still keeps
it waiting. So ``held`` says how many of the requests alive at that step fit in the memory at once.

A rival knows of each request how long it will be: from the trace when it replays one; live nobody knows, and
``max_tokens`` is taken for it, so that "oracle" is as good as what clients declare, "pow2" rounds that up, and
"reserved" counts slots that may never be used. The same holds of what a trace does not see the end of.

Samples and beams are requests of their own with a prompt of their own: no rival shares memory, whereas the engine
does. Its limits on batch and step do not bind the rivals; nor does preemption in the engine take memory from them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from pagedviz.errors import ConfigError
from pagedviz.events import (
    AnyEvent,
    Batch,
    RequestAdded,
    RequestFinished,
    SequenceDropped,
    SequenceFinished,
    SequenceForked,
    StepStarted,
    TokenAppended,
)
from pagedviz.lab.holdings import WasteSplit
from pagedviz.lab.rivals import RIVALS
from pagedviz.lab.serving import Server
from pagedviz.lab.workloads import Request
from pagedviz.trace import Trace


class Record(NamedTuple):
    """One rival when a step was over.

    Attributes:
        step: the engine's.
        rival: its name in ``RIVALS``.
        split: what its slots were for.
        held: requests in its memory; every sample counts.
        waiting: those that are alive in the engine and do not fit.
        preemptions: so far.
        refused: so far, because an empty pool would not be enough, or the model is too short.
    """

    step: int
    rival: str
    split: WasteSplit
    held: int
    waiting: int
    preemptions: int
    refused: int


@dataclass(frozen=True)
class Standing:
    """One rival over all steps: mean split in % of its slots, requests in memory, and what it could not do."""

    rival: str
    used: float
    reserved: float
    internal: float
    external: float
    free: float
    mean_held: float
    most_held: int
    preemptions: int
    refused: int
    explanation: str


class Rivals:
    """A subscriber: ``engine.subscribe(rivals)``, or ``rivals.replay(trace)``. Serves one engine or one trace.

    Attributes:
        history: the records of every step, step by step, the rivals in the order of ``names``.
        names: of the rivals.
    """

    def __init__(
        self, num_slots: int, max_model_len: int, block_size: int = 16, names: Collection[str] = tuple(RIVALS)
    ) -> None:
        unknown = sorted(set(names) - set(RIVALS))
        if unknown or not names:
            raise ConfigError(f"no such rivals: {unknown}; there are {', '.join(RIVALS)}")
        self.names = tuple(names)
        self.history: list[Record] = []
        self._servers = {
            name: Server(RIVALS[name](num_slots, max_model_len, block_size), max_model_len) for name in names
        }
        self._alive: dict[int, Request] = {}
        self._members: dict[str, list[int]] = {}
        self._limits: dict[str, int] = {}
        self._final: dict[int, int] = {}

    def __call__(self, batch: Batch) -> None:
        """Follow the engine through a batch, and record where that leaves everybody."""
        for event in batch.events:
            self._follow(event)
        records = [
            Record(
                batch.step,
                name,
                server.split(),
                len(server.held),
                len(server.waiting),
                server.preemptions,
                server.refused,
            )
            for name, server in self._servers.items()
        ]
        again = self.history and self.history[-1].step == batch.step
        self.history[len(self.history) - (len(records) if again else 0) :] = records

    def replay(self, trace: Trace) -> None:
        """Follow a whole trace, knowing from it how long requests will be."""
        self._final = final_lengths(trace)
        for name, running in trace.start.requests.items():
            self._limits[name] = running.max_tokens
        for sequence in trace.start.sequences.values():
            if sequence.status != "finished":
                self._add(sequence.request, sequence.id, sequence.num_prompt, len(sequence.tokens))
        for batch in trace.batches:
            self(batch)

    def standings(self) -> list[Standing]:
        """One row per rival, over all steps in which somebody was there to be served."""
        rows = []
        for name, server in self._servers.items():
            records = [record for record in self.history if record.rival == name and record.held + record.waiting]
            sums = [sum(parts) for parts in zip(*(record.split for record in records), strict=True)]
            split = WasteSplit(*sums) if records else server.split()
            rows.append(
                Standing(
                    name,
                    *split.percent(),
                    mean_held=sum(record.held for record in records) / max(1, len(records)),
                    most_held=max((record.held for record in records), default=0),
                    preemptions=server.preemptions,
                    refused=server.refused,
                    explanation=server.rival.explain(),
                )
            )
        return rows

    # -- what happens in the engine ----------------------------------------------------------------------------

    def _follow(self, event: AnyEvent) -> None:
        for server in self._servers.values():
            if isinstance(event, TokenAppended):
                server.grow(event.sequence, event.position + 1)
            elif isinstance(event, StepStarted):
                server.step()
        match event:
            case RequestAdded():
                self._limits[event.request] = event.max_tokens
                for sequence in event.sequences:
                    self._add(event.request, sequence, len(event.prompt), len(event.prompt))
            case SequenceForked() if event.child not in self._alive and event.parent in self._alive:  # a beam
                self._add(event.request, event.child, self._alive[event.parent].input_length, event.num_tokens)
            case SequenceFinished() | SequenceDropped():
                self._end(event.sequence)
            case RequestFinished():
                for sequence in self._members.pop(event.request, ()):
                    self._end(sequence)
                self._limits.pop(event.request, None)
            case _:
                pass

    def _add(self, name: str, sequence: int, num_prompt: int, known: int) -> None:
        final = self._final.get(sequence, num_prompt + self._limits[name])
        request = Request(num_prompt, max(1, final - num_prompt))
        self._alive[sequence] = request
        self._members.setdefault(name, []).append(sequence)
        for server in self._servers.values():
            server.add(sequence, request, known)

    def _end(self, sequence: int) -> None:
        if self._alive.pop(sequence, None):
            for server in self._servers.values():
                server.end(sequence)


def final_lengths(trace: Trace) -> dict[int, int]:
    """Sequence -> how many tokens it has when it ends, of those whose end the trace sees."""
    lengths = {number: len(sequence.tokens) for number, sequence in trace.start.sequences.items()}
    ended = set()
    for event in trace.events:
        match event:
            case TokenAppended():
                lengths[event.sequence] = event.position + 1
            case RequestAdded():
                lengths.update(dict.fromkeys(event.sequences, len(event.prompt)))
            case SequenceFinished() | SequenceDropped():
                ended.add(event.sequence)
            case _:
                pass
    return {sequence: length for sequence, length in lengths.items() if sequence in ended}
