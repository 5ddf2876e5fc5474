"""Random but valid streams of memory events: a toy scheduler over bare lists, independent of ``pagedviz.memory``.

It has no model and no tensors: it only knows who would hold which block. Everything is drawn from one seed.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

from pagedviz.events import (
    AnyEvent,
    Batch,
    BlockAllocated,
    BlockCopied,
    BlockFilled,
    BlockFreed,
    BlockReleased,
    BlockShared,
    KernelLaunched,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceFinished,
    SequenceForked,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.events.codec import EngineInfo, LayerGroup
from pagedviz.trace import State, Trace

WORDS = (" the", " page", " table", "\n", "é", "\u202e", "<b>&", "😀", "", '"')


@dataclass
class Stream:
    """One sequence of the toy."""

    id: int
    tokens: list[int]
    status: str = "waiting"
    computed: int = 0
    tables: dict[int, list[int]] = field(default_factory=dict)


@dataclass
class Job:
    """One request of the toy."""

    name: str
    prompt: int
    limit: int
    streams: list[Stream]
    status: str = "waiting"

    def alive(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.status != "finished"]

    def running(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.status == "running"]


class OutOfBlocks(Exception):
    """The toy's pool is empty."""


class Toy:
    """Turns a seed into batches of events."""

    def __init__(self, seed: int, *, block_size: int = 4, num_blocks: int = 24, groups: int = 1) -> None:
        self.random = random.Random(seed)
        self.block_size, self.num_blocks, self.groups = block_size, num_blocks, groups
        self.jobs: list[Job] = []
        self.free = list(range(num_blocks))
        self.holders: dict[int, int] = {}
        self.batches: list[Batch] = []
        self.events: list[AnyEvent] = []
        self.seq = self.step_number = self.streams_made = 0

    # -- what a user does -------------------------------------------------------------------------------------

    def add(self, prompt: int, limit: int, samples: int = 1) -> None:
        name = f"r{len(self.jobs)}"
        tokens = tuple(self.random.randrange(50_000) for _ in range(prompt))
        texts = tuple(self.random.choice(WORDS) for _ in tokens)
        streams = [Stream(self.streams_made + index, list(tokens)) for index in range(samples)]
        self.streams_made += samples
        self.jobs.append(Job(name, prompt, limit, streams))
        self.emit(RequestAdded(name, tuple(stream.id for stream in streams), tokens, texts, limit))

    def abort(self) -> None:
        for job in self.jobs:
            if job.status != "finished":
                for stream in job.alive():
                    self.finish(job, stream, "abort")
                return

    def step(self, budget: int = 24) -> None:
        self.step_number += 1
        for job in self.jobs:  # first come, first served
            if job.status in {"waiting", "preempted"} and self.random.random() < 0.7:
                self.emit(RequestScheduled(job.name, job.status == "preempted"))
                job.status = "running"
                job.alive()[0].status = "running"
        plan = self.plan(budget)
        if not plan:
            self.publish()
            return
        self.emit(StepStarted(tuple((stream.id, start, count) for _, stream, start, count in plan)))
        self.emit(KernelLaunched("paged_decode", (len(plan), 3), 30, len(plan) * 4, 800))
        prefill = sum(count for _, _, _, count in plan if count > 1)
        decode = sum(count for _, _, _, count in plan if count == 1)
        self.emit(StepFinished(1500 + 10 * prefill, prefill, decode))
        for _, stream, start, count in plan:
            stream.computed = start + count
            self.name_full_blocks(stream, start)
        for job, stream, _, _ in plan:
            self.fork_siblings(job, stream)
        for job in self.jobs:
            for stream in job.running():
                if stream.computed == len(stream.tokens):
                    self.sample(job, stream)
        self.publish()

    # -- how it goes on ---------------------------------------------------------------------------------------

    def plan(self, budget: int) -> list[tuple[Job, Stream, int, int]]:
        plan: list[tuple[Job, Stream, int, int]] = []
        for job in [job for job in self.jobs if job.status == "running"]:
            for stream in job.running():
                count = min(budget, len(stream.tokens) - stream.computed)
                if count <= 0:
                    continue
                while job.status == "running":
                    try:
                        self.make_room(stream, count)
                    except OutOfBlocks:
                        newest = [other for other in self.jobs if other.status == "running"][-1]
                        self.preempt(newest)
                        plan = [item for item in plan if item[0] is not newest]
                        continue
                    plan.append((job, stream, stream.computed, count))
                    budget -= count
                    break
        return plan

    def make_room(self, stream: Stream, count: int) -> None:
        first = stream.computed // self.block_size
        last = (stream.computed + count - 1) // self.block_size
        for group in range(self.groups):
            table = stream.tables.setdefault(group, [])
            for logical in range(first, last + 1):
                if logical == len(table):
                    reason = "prefill" if count > 1 else "decode"
                    table.append(self.allocate(group, stream, logical, reason))
                elif self.holders[table[logical]] > 1:
                    source = table[logical]
                    table[logical] = self.allocate(group, stream, logical, "copy_on_write")
                    self.emit(BlockCopied("device", group, source, table[logical], stream.id, logical))
                    self.release(group, source, stream, logical)

    def allocate(self, group: int, stream: Stream, logical: int, reason: str) -> int:
        if not self.free:
            raise OutOfBlocks
        block = self.free.pop(self.random.randrange(len(self.free)))
        self.holders[block] = 1
        self.emit(BlockAllocated("device", group, block, stream.id, logical, reason))
        return block

    def release(self, group: int, block: int, stream: Stream, logical: int) -> None:
        self.holders[block] -= 1
        self.emit(BlockReleased("device", group, block, stream.id, logical, self.holders[block]))
        if self.holders[block] == 0:
            del self.holders[block]
            self.free.append(block)
            self.emit(BlockFreed("device", group, block))

    def release_all(self, stream: Stream) -> None:
        for group, table in stream.tables.items():
            while table:
                self.release(group, table.pop(), stream, len(table))
        stream.computed = 0

    def preempt(self, job: Job) -> None:
        lost, before = sum(stream.computed for stream in job.streams), len(self.free)
        for stream in job.streams:
            self.release_all(stream)
            if stream.status == "running":
                stream.status = "waiting"
        job.status = "preempted"
        freed = len(self.free) - before
        self.emit(RequestPreempted(job.name, "recompute", "the pool is full", freed, lost))

    def name_full_blocks(self, stream: Stream, start: int) -> None:
        for group, table in stream.tables.items():
            for logical in range(start // self.block_size, stream.computed // self.block_size):
                prefix = str(stream.tokens[: (logical + 1) * self.block_size]).encode()
                name = hashlib.blake2b(prefix, digest_size=8).hexdigest()
                self.emit(BlockFilled("device", group, table[logical], stream.id, logical, name))

    def fork_siblings(self, job: Job, parent: Stream) -> None:
        if parent.computed < job.prompt or parent.status != "running":
            return
        for child in job.alive():
            if child.status == "waiting":
                for group, table in parent.tables.items():
                    child.tables[group] = table[: -(-job.prompt // self.block_size)]
                    for logical, block in enumerate(child.tables[group]):
                        self.holders[block] += 1
                        shared = BlockShared("device", group, block, child.id, logical, self.holders[block])
                        self.emit(shared)
                self.emit(SequenceForked(job.name, parent.id, child.id, job.prompt))
                child.status, child.computed = "running", job.prompt

    def sample(self, job: Job, stream: Stream) -> None:
        token = self.random.randrange(50_000)
        self.emit(TokenAppended(stream.id, len(stream.tokens), token, self.random.choice(WORDS)))
        stream.tokens.append(token)
        if len(stream.tokens) - job.prompt >= job.limit:
            self.finish(job, stream, "length")
        elif self.random.random() < 0.02:
            self.finish(job, stream, "stop")

    def finish(self, job: Job, stream: Stream, reason: str) -> None:
        stream.status = "finished"
        self.emit(SequenceFinished(job.name, stream.id, reason))
        self.release_all(stream)
        if not job.alive():
            job.status = "finished"
            self.emit(RequestFinished(job.name, reason))
        elif job.status == "running" and not job.running():  # the next sample begins from scratch
            job.alive()[0].status = "waiting"
            self.preempt(job)

    # -- how it is told ---------------------------------------------------------------------------------------

    def emit(self, event: AnyEvent) -> None:
        self.events.append(event)

    def publish(self) -> None:
        if self.events:
            batch = Batch(self.seq, self.step_number, 2000 * self.step_number, tuple(self.events))
            self.batches.append(batch)
            self.seq += len(self.events)
            self.events.clear()


def info_of(toy: Toy) -> EngineInfo:
    """What a toy says of itself."""
    return EngineInfo(
        model="toy",
        block_size=toy.block_size,
        num_device_blocks=toy.num_blocks,
        num_host_blocks=0,
        groups=tuple(LayerGroup((group,)) for group in range(toy.groups)),
        num_kv_heads=3,
        head_dim=64,
        dtype="float32",
        device="cpu",
        simulated=True,
        attention="reference",
        bytes_per_block=toy.block_size * 3 * 64 * 8,
        pagedviz="0.0.0",
    )


def start_of(toy: Toy) -> State:
    """The state in which a toy begins."""
    return State(toy.block_size, {"device": toy.num_blocks, "host": 0})


def trace_of(toy: Toy) -> Trace:
    """What a toy has done."""
    return Trace(info_of(toy), start_of(toy), toy.batches)


def random_run(seed: int, *, steps: int = 40, block_size: int = 4, num_blocks: int = 24, groups: int = 1) -> Toy:
    """A toy that has run for some steps with requests that come and go."""
    toy = Toy(seed, block_size=block_size, num_blocks=num_blocks, groups=groups)
    longest = max(1, num_blocks * block_size // groups // 3)
    for _ in range(steps):
        if toy.random.random() < 0.25:
            prompt = toy.random.randint(1, max(1, longest // 2))
            limit = toy.random.randint(1, max(1, longest - prompt))
            toy.add(prompt, limit, samples=toy.random.choice((1, 1, 2, 3)))
            if toy.random.random() < 0.5:
                toy.publish()
        if toy.random.random() < 0.03:
            toy.abort()
        toy.step()
    return toy
