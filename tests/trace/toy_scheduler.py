"""The toy of ``streams``: who is added, runs, forks, is preempted and ends, drawn from one seed.

It has no model and no tensors, and is independent of ``pagedviz.engine``. Who has which block is in ``toy_memory``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from toy_blocks import OutOfBlocks, Stream
from toy_memory import Memory

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
                self.publish()
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
        # When the parent is ahead, as after a preemption, its block at the prompt's end holds more than the prompt.
        ahead = job.prompt % self.block_size if parent.computed > job.prompt else 0
        for child in job.alive():
            if child.status == "waiting":
                self.fork(job, parent, child, job.prompt - ahead)

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
