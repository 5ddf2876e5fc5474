"""Random but valid streams of memory events: a toy scheduler over bare lists, independent of ``pagedviz``'s engine.

It has no model and no tensors: it only decides who runs, forks, is preempted and ends, and ``toy_memory`` knows
who would hold which block. Everything is drawn from one seed, and every kind of event comes sooner or later.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from pagedviz.events import (
    AnyEvent,
    Batch,
    KernelLaunched,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceDropped,
    SequenceFinished,
    SequenceForked,
    StepFinished,
    StepStarted,
    TokenAppended,
)
from pagedviz.events.codec import EngineInfo, LayerGroup
from pagedviz.trace import State, Trace

for _name in ("toy_blocks", "toy_memory"):  # this file is loaded by its path, so it has no package
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])

from toy_blocks import OutOfBlocks, Stream  # noqa: E402 - it is there from here on
from toy_memory import Memory  # noqa: E402

WORDS = (" the", " page", " table", "\n", "é", "\u202e", "<b>&", "😀", "", '"')


@dataclass
class Job:
    """One request of the toy. ``beams`` is how many hypotheses it keeps, 0 for one that samples."""

    name: str
    prompt: int
    limit: int
    streams: list[Stream]
    beams: int = 0
    status: str = "waiting"

    def alive(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.status != "finished"]

    def running(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.status == "running"]


class Toy:
    """Turns a seed into batches of events.

    Without ``caching`` nothing is kept or found again, and without ``num_host`` blocks nothing moves.
    """

    def __init__(
        self,
        seed: int,
        *,
        block_size: int = 4,
        num_blocks: int = 24,
        groups: int = 1,
        num_host: int = 16,
        caching: bool = True,
    ) -> None:
        self.random = random.Random(seed)
        self.block_size, self.num_blocks, self.groups, self.num_host = block_size, num_blocks, groups, num_host
        self.jobs: list[Job] = []
        self.batches: list[Batch] = []
        self.events: list[AnyEvent] = []
        self.seq = self.step_number = self.streams_made = 0
        self.memory = Memory(self.random, self.events.append, block_size, groups, caching=caching)
        self.memory.device.free += range(num_blocks)
        self.memory.host.free += range(num_host)

    # -- what a user does -------------------------------------------------------------------------------------

    def add(self, prompt: int, limit: int, samples: int = 1, beams: int = 0) -> None:
        """A request whose prompt begins, more often than not, as something did that was there before."""
        known = [stream.tokens for job in self.jobs for stream in job.streams] if self.memory.caching else []
        begun = self.random.choice(known) if known and self.random.random() < 0.8 else []
        same = begun[: self.random.choice((prompt, self.random.randint(0, prompt)))]
        tokens = (*same, *(self.random.randrange(50_000) for _ in range(prompt - len(same))))
        texts = tuple(self.random.choice(WORDS) for _ in tokens)
        name = f"r{len(self.jobs)}"
        streams = [self.new_stream(list(tokens)) for _ in range(samples)]
        self.jobs.append(Job(name, prompt, limit, streams, beams))
        self.emit(RequestAdded(name, tuple(stream.id for stream in streams), tokens, texts, limit))

    def new_stream(self, tokens: list[int]) -> Stream:
        self.streams_made += 1
        return Stream(self.streams_made - 1, tokens)

    def abort(self) -> None:
        for job in self.jobs:
            if job.status != "finished":
                for stream in job.alive():
                    self.finish(job, stream, "abort")
                return

    def reset(self) -> None:
        self.memory.reset()
        self.publish()

    def step(self, budget: int = 24) -> None:
        self.step_number += 1
        self.memory.step, begun = self.step_number, len(self.events)
        for job in self.jobs:  # first come, first served
            if job.status in {"waiting", "preempted", "swapped"} and self.random.random() < 0.7:
                self.schedule(job)
        plan = self.plan(budget)
        if not plan:
            self.publish()
            return
        self.events.insert(begun, StepStarted(tuple((stream.id, start, count) for _, stream, start, count in plan)))
        self.emit(KernelLaunched("paged_decode", (len(plan), 3), 30, len(plan) * 4, 800))
        prefill = sum(count for _, _, _, count in plan if count > 1)
        decode = sum(count for _, _, _, count in plan if count == 1)
        self.emit(StepFinished(1500 + 10 * prefill, prefill, decode))
        for _, stream, start, count in plan:
            stream.computed = start + count
            self.memory.fill(stream, start)
        for job, stream, _, _ in plan:
            self.fork_siblings(job, stream)
        for job in [job for job in self.jobs if job.status == "running"]:
            if job.beams:
                self.search(job)
                continue
            for stream in job.running():
                if stream.computed == len(stream.tokens):
                    self.sample(job, stream)
        self.publish()

    # -- who runs ---------------------------------------------------------------------------------------------

    def schedule(self, job: Job) -> None:
        """Let a request run: with what was swapped out, or with what is found of it."""
        swapped = [stream for stream in job.streams if stream.status == "swapped"]
        if job.status == "swapped" and not self.memory.can_swap_in(swapped):
            return
        resumed = job.status != "waiting"
        self.emit(RequestScheduled(job.name, resumed))
        if job.status == "swapped":
            self.memory.swap_in(job.name, swapped)
        else:
            swapped = job.alive()[:1]
            self.memory.attach(job.name, swapped[0], resumed=resumed)
        job.status = "running"
        for stream in swapped:
            stream.status = "running"

    def plan(self, budget: int) -> list[tuple[Job, Stream, int, int]]:
        plan: list[tuple[Job, Stream, int, int]] = []
        for job in [job for job in self.jobs if job.status == "running"]:
            for stream in job.running():
                count = min(budget, len(stream.tokens) - stream.computed)
                if count <= 0:
                    continue
                while job.status == "running":
                    try:
                        self.memory.write(stream, count)
                    except OutOfBlocks:
                        newest = [other for other in self.jobs if other.status == "running"][-1]
                        self.preempt(newest)
                        plan = [item for item in plan if item[0] is not newest]
                        continue
                    plan.append((job, stream, stream.computed, count))
                    budget -= count
                    break
        return plan

    def preempt(self, job: Job, reason: str = "the pool is full") -> None:
        streams = job.running()
        swaps = self.random.random() < 0.5 and self.memory.can_swap_out(streams)
        freed = self.memory.ownerless(streams)
        lost = 0 if swaps else sum(stream.computed for stream in streams)
        self.emit(RequestPreempted(job.name, "swap" if swaps else "recompute", reason, freed, lost))
        job.status = "swapped" if swaps else "preempted"
        for stream in streams:
            stream.status = "swapped" if swaps else "waiting"
        if swaps:
            self.memory.swap_out(job.name, streams)
            return
        for stream in streams:
            self.memory.release_all(stream)

    # -- how it goes on ---------------------------------------------------------------------------------------

    def fork_siblings(self, job: Job, parent: Stream) -> None:
        if parent.computed < job.prompt or parent.status != "running":
            return
        for child in job.alive():
            if child.status == "waiting":
                self.fork(job, parent, child, job.prompt)

    def fork(self, job: Job, parent: Stream, child: Stream, num_tokens: int) -> None:
        self.emit(SequenceForked(job.name, parent.id, child.id, num_tokens))
        self.memory.fork(parent, child, num_tokens)
        child.status = "running"

    def search(self, job: Job) -> None:
        """One step of a beam search: some beams go on, some twice or more often, the others are dropped."""
        beams = job.running()
        if len(beams) < len(job.alive()) or any(beam.computed < len(beam.tokens) for beam in beams):
            return
        parents = [self.random.choice(beams) for _ in range(job.beams)]
        survivors: list[Stream] = []
        for parent in parents:
            beam = parent
            if parent in survivors:
                beam = self.new_stream([*parent.tokens])
                job.streams.append(beam)
                self.fork(job, parent, beam, parent.computed)
            survivors.append(beam)
        for beam in survivors:
            self.append(beam)
        for beam in beams:
            if beam not in survivors:
                self.memory.release_all(beam)
                job.streams.remove(beam)
                self.emit(SequenceDropped(job.name, beam.id))
        for beam in survivors:
            if len(beam.tokens) - job.prompt >= job.limit:
                self.finish(job, beam, "length")
            elif beam is not survivors[0] and self.random.random() < 0.02:
                self.finish(job, beam, "stop")

    def sample(self, job: Job, stream: Stream) -> None:
        self.append(stream)
        if len(stream.tokens) - job.prompt >= job.limit:
            self.finish(job, stream, "length")
        elif self.random.random() < 0.02:
            self.finish(job, stream, "stop")

    def append(self, stream: Stream) -> None:
        """The next token, often the one that any sequence of this length would get: equal blocks come of it."""
        token = len(stream.tokens) if self.random.random() < 0.6 else self.random.randrange(50_000)
        self.emit(TokenAppended(stream.id, len(stream.tokens), token, self.random.choice(WORDS)))
        stream.tokens.append(token)

    def finish(self, job: Job, stream: Stream, reason: str) -> None:
        stream.status = "finished"
        self.emit(SequenceFinished(job.name, stream.id, reason))
        self.memory.release_all(stream)
        if not job.alive():
            job.status = "finished"
            self.emit(RequestFinished(job.name, reason))
        elif job.status == "running" and not job.running():  # the next sample begins from scratch
            self.preempt(job, "its other samples have not begun")

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
        num_host_blocks=toy.num_host,
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
    return State(toy.block_size, {"device": toy.num_blocks, "host": toy.num_host})


def trace_of(toy: Toy) -> Trace:
    """What a toy has done."""
    return Trace(info_of(toy), start_of(toy), toy.batches)


def random_run(seed: int, *, steps: int = 40, **options: int) -> Toy:
    """A toy with these options that has run for some steps, with requests that come and go."""
    toy = Toy(seed, **options)
    longest = max(1, toy.num_blocks * toy.block_size // toy.groups // 3)
    for _ in range(steps):
        if toy.random.random() < 0.25:
            prompt = toy.random.randint(1, max(1, longest // 2))
            limit = toy.random.randint(1, max(1, longest - prompt))
            samples, beams = toy.random.choice(((1, 0), (1, 0), (2, 0), (3, 0), (1, 2), (1, 3)))
            toy.add(prompt, limit, samples, beams)
            if toy.random.random() < 0.5:
                toy.publish()
        if toy.random.random() < 0.03:
            toy.abort()
        if toy.random.random() < 0.02:
            toy.reset()
        toy.step()
    return toy


def golden_run() -> Toy:
    """A run of a few steps in which everything happens: every kind of event, both ways to preempt, odd texts."""
    toy = Toy(90, num_blocks=8, num_host=6)
    toy.add(prompt=6, limit=9, samples=2)
    toy.add(prompt=5, limit=8)
    toy.publish()
    while any(job.status != "finished" for job in toy.jobs):
        if toy.step_number == 5:
            toy.add(prompt=9, limit=5, beams=2)
        toy.step(budget=8)
    toy.reset()
    return toy
