"""A run of any length without a model: a real block manager under requests that come, generate and go.

What the time-travel benchmarks move around in. Tokens are drawn by lot; memory is not: blocks, names, hits and
evictions are what the engine's own block manager does. Requests run together and nobody is preempted.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from pagedviz._version import __version__
from pagedviz.events import (
    AnyEvent,
    Batch,
    KernelLaunched,
    PrefixHit,
    PrefixMissed,
    RequestAdded,
    RequestFinished,
    RequestScheduled,
    SequenceFinished,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.events.codec import EngineInfo, LayerGroup
from pagedviz.lab.workloads import check_count
from pagedviz.memory import BlockManager, Swapper
from pagedviz.trace import Trace
from pagedviz.trace.state import State

_WORDS = (" the", " page", " table", " of", " a", " block", ".", "\n")
_STEP_US = 25_000


@dataclass(eq=False, slots=True)
class _Running:
    name: str
    sequence: int
    tokens: list[int]
    computed: int
    end: int


class LongRun:
    """Requests with one of a few system prompts, ``running`` at a time, each with 64 to 320 new tokens."""

    def __init__(self, num_blocks: int = 4096, block_size: int = 16, running: int = 32, seed: int = 0) -> None:
        for name, value in {"num_blocks": num_blocks, "block_size": block_size, "running": running}.items():
            check_count(name, value)
        self._dice = random.Random(seed)  # noqa: S311 - a workload, not a secret
        self._events: list[AnyEvent] = []
        self._manager = BlockManager(num_blocks, block_size, 1, self._events.append, caching=True)
        self._swapper = Swapper(self._manager)
        self._running: list[_Running] = []
        self._most = running
        self._next = 0
        self._systems = [self._draw(5 * block_size) for _ in range(6)]
        self.start = State(block_size, {"device": num_blocks, "host": 0})

    def _draw(self, count: int) -> list[int]:
        return [self._dice.randrange(50_000) for _ in range(count)]

    def batches(self, num_events: int) -> Iterator[Batch]:
        """Steps until there are so many events."""
        seq = step = 0
        while seq < num_events:
            step += 1
            self._step(step)
            yield Batch(seq, step, step * _STEP_US, tuple(self._events))
            seq += len(self._events)
            self._events.clear()

    def _step(self, step: int) -> None:
        emit, manager = self._events.append, self._manager
        manager.set_step(step)
        while len(self._running) < self._most:
            self._admit()
        scheduled = [(r.sequence, r.computed, len(r.tokens) - r.computed) for r in self._running]
        dry_run = manager.dry_run()
        for sequence, start, count in scheduled:
            dry_run.write(sequence, start, count)
        self._swapper.make_room(dry_run.num_taken)
        emit(StepStarted(tuple(scheduled)))
        manager.begin()
        for sequence, start, count in scheduled:
            manager.write(sequence, start, count, "decode" if count == 1 else "prefill")
        emit(KernelLaunched("paged_decode", (len(scheduled),), 1, len(scheduled), 900))
        decode = sum(count == 1 for _, _, count in scheduled)
        emit(StepFinished(_STEP_US, sum(count for _, _, count in scheduled) - decode, decode))
        for r in self._running:
            r.computed = len(r.tokens)
            manager.fill(r.sequence, r.tokens, r.computed)
        for r in self._running:
            emit(TokenAppended(r.sequence, len(r.tokens), token := self._dice.randrange(50_000), _WORDS[token % 8]))
            r.tokens.append(token)
        for r in [r for r in self._running if len(r.tokens) >= r.end]:
            emit(SequenceFinished(r.name, r.sequence, "length"))
            manager.release(r.sequence)
            emit(RequestFinished(r.name, "length"))
            self._running.remove(r)

    def _admit(self) -> None:
        emit, manager = self._events.append, self._manager
        number, self._next = self._next, self._next + 1
        prompt = self._dice.choice(self._systems) + self._draw(self._dice.randint(8, 60))
        name = f"r{number}"
        words = tuple(_WORDS[token % 8] for token in prompt)
        emit(RequestAdded(name, (number,), tuple(prompt), words, 320))
        emit(RequestScheduled(name, resumed=False))
        prefix = manager.finder.find(number, prompt, "")
        assert prefix is not None
        found = prefix.on_device
        manager.attach(number, prefix, found)
        computed = found * manager.block_size
        if found:
            emit(PrefixHit(name, number, found, computed, 0, resumed=False))
        emit(PrefixMissed(name, number, len(prompt) - computed, prefix.missed or "", resumed=False))
        end = len(prompt) + self._dice.randint(64, 320)
        self._running.append(_Running(name, number, prompt, computed, end))


def long_run(num_events: int, **options: int) -> Trace:
    """A trace of at least ``num_events`` events; ``options`` are those of ``LongRun``.

    Raises:
        ConfigError: a number is below 1, or the pool is too small for those that run.
    """
    check_count("num_events", num_events)
    run = LongRun(**options)
    size = run.start.block_size
    info = EngineInfo(
        model="no model",
        block_size=size,
        num_device_blocks=run.start.num_blocks["device"],
        num_host_blocks=0,
        groups=(LayerGroup((0,)),),
        num_kv_heads=1,
        head_dim=1,
        dtype="float32",
        device="cpu",
        simulated=True,
        attention="none",
        bytes_per_block=8 * size,
        pagedviz=__version__,
    )
    return Trace(info, run.start, run.batches(num_events))
