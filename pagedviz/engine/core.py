"""The step: plan, make room, take blocks, run the model, draw tokens, commit. All of it happens, or none.

Whatever can fail or be interrupted runs before ``commit``, and only takes blocks, which ``rollback`` gives
back. What makes room for it (``admission``: preemption, eviction, swaps, hits) stands even when the step fails:
by then memory may have been written over. Events wait in ``_pending`` until it is known whether they happened,
and how long the copies between the tiers took: these run beside the step's kernels, and end with the step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence as Many

import torch
from msgspec.structs import replace

from pagedviz.engine.asked import asked
from pagedviz.engine.batch import build_batch
from pagedviz.engine.commit import Commit
from pagedviz.engine.config import EngineConfig
from pagedviz.engine.counters import Counters
from pagedviz.engine.interrupts import Interrupts
from pagedviz.engine.request import Request
from pagedviz.engine.runner import Runner
from pagedviz.engine.sampling.sampler import Sampled, Sampler
from pagedviz.engine.schedule.admission import Admitter
from pagedviz.engine.schedule.costs import CostModel
from pagedviz.engine.schedule.plan import Scheduled, StepPlan, order
from pagedviz.engine.schedule.scheduler import Scheduler
from pagedviz.events import (
    AnyEvent,
    EventBus,
    RequestAdded,
    StepFinished,
    StepStarted,
    SwappedIn,
    SwappedOut,
)
from pagedviz.memory import BlockManager, EvictionPolicy, Swapper
from pagedviz.memory.moving import Moving

Found = tuple[list[Scheduled], Sampled]
"""What was computed, and what it led to."""


class EngineCore:
    """Requests in, tokens out, one step at a time. Knows no text but what its sampler gives it."""

    def __init__(self, runner: Runner, sampler: Sampler, config: EngineConfig, bus: EventBus) -> None:
        self._bus = bus
        self._caching = config.prefix_caching
        self._pending: list[AnyEvent] = []
        self._copies: list[tuple[int, Moving]] = []  # and where in _pending their events are
        self._interrupts = Interrupts()
        self.runner = runner
        self.sampler = sampler
        self.manager = BlockManager(
            config.num_device_blocks,
            config.block_size,
            len(runner.model.spec.groups),
            self._emit,
            num_host_blocks=config.num_host_blocks,
            caching=config.prefix_caching,
            eviction=config.eviction,
            seed=config.seed,
        )
        self.costs = CostModel()
        self.counters = Counters()
        self.scheduler = Scheduler(config, self.manager, self.costs, runner.cache.bytes_per_block)
        swapper = Swapper(self.manager, runner.move, config.placement, self._emit_copy)
        self._admitter = Admitter(self.manager, swapper, self.scheduler, self.counters, self._emit)
        self._commit = Commit(self.manager, self.scheduler, self.counters, self._emit, self.new_sequences)
        self.requests = self._commit.requests
        self.touched = self._commit.touched
        self.steps = 0
        self._next_number = 0
        self.next_sequence = 0

    def new_sequences(self, count: int = 1) -> int:
        """Ids for so many new sequences; returns the first."""
        first, self.next_sequence = self.next_sequence, self.next_sequence + count
        return first

    def _emit(self, event: AnyEvent) -> None:
        self._pending.append(event)

    def _emit_copy(self, event: SwappedOut | SwappedIn, moving: Moving) -> None:
        self._copies.append((len(self._pending), moving))
        self._emit(event)

    def _settle(self) -> None:
        """Wait for the copies between the tiers; their events, and the cost model, then know how long they took."""
        self.runner.settle()
        for at, moving in self._copies:
            self._pending[at] = replace(self._pending[at], duration_us=moving.duration_us)
            self.costs.saw_copy(moving.num_bytes, moving.duration_us)
        self._copies = []

    def _publish(self) -> None:
        events, self._pending, self._copies = self._pending, [], []
        self._bus.publish(self.steps, events)

    # -- requests ----------------------------------------------------------------------------------------------

    def add(self, request: Request, texts: Many[str]) -> None:
        """Put a request in the waiting queue; ``texts`` are its prompt's pieces, for the event."""
        with self._interrupts.held():
            request.number, self._next_number = self._next_number, self._next_number + 1
            self.requests[request.id] = request
            self.scheduler.add(request)
            ids = tuple(sequence.id for sequence in request.sequences)
            prompt, limit = request.prompt_token_ids, request.max_tokens
            self._emit(RequestAdded(request.id, ids, prompt, tuple(texts), limit, asked(request.params)))
            self._publish()

    def abort(self, requests: Many[Request]) -> None:
        """End requests now; their blocks are free afterwards."""
        with self._interrupts.held():
            for request in requests:
                self._commit.end(request, "abort")
            self._publish()

    def reset_cache(self, reason: str) -> int:
        """Give up every cached block; returns how many there were."""
        with self._interrupts.held():
            cached = self.manager.reset_cache(reason)
            self._publish()
        return cached

    def follow_model(self) -> None:
        """Run the model as it is now; if it was changed, what was computed before is found no more.

        Weights are looked at when somebody may be admitted: nobody else is given what others computed.

        Raises:
            ModelError: the engine cannot run what the model has become.
        """
        with self._interrupts.held():
            change = self.runner.model.follow(weights=self.scheduler.may_admit())
            if change and self._caching:
                self.reset_cache(change)

    def change_eviction(self, eviction: str | EvictionPolicy) -> None:
        """Let another policy decide which device blocks are evicted."""
        with self._interrupts.held():
            self.manager.change_eviction(eviction)

    # -- the step ----------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Run one step; the requests that got a token are then ``touched``. Nothing to do is no step.

        Raises:
            BaseException: whatever the model, a kernel, a policy, the tokenizer or an interrupt raised. The step
                has then not happened: tables, lengths and events are as before, but for who has memory.
                Only what a subscriber raised, or an interrupt that was held back, comes after the step.
                What is wrong with one request alone raises nothing: it ends with the reason ``"error"``.
        """
        with self._interrupts.held():
            self.follow_model()
            plan = self.scheduler.plan()
            if not plan.scheduled and not plan.preempted and not plan.admitted:
                assert not self.requests, "requests wait for what will never be free"
                return
            began = time.perf_counter_ns()
            self.manager.set_step(self.steps + 1)
            try:
                try:
                    self._admitter.prepare(plan)
                finally:
                    for admission in plan.admitted:
                        self._commit.fork(admission.request)  # when all of its prompt was found
                items, sampled = self._attempt(plan)
            except BaseException:
                try:
                    self._settle()
                finally:
                    self.manager.set_step(self.steps)
                    self._publish()
                raise
            self.steps += 1
            self._pending.insert(0, _started(items))
            self._tell_finished(items, began)
            self._commit.apply(items, sampled)
            self._publish()

    def _attempt(self, plan: StepPlan) -> Found:
        """Everything that can fail, and is undone then."""
        stands = len(self._pending)
        self.manager.begin()
        try:
            found = self._execute(plan)
            self._settle()
        except BaseException:
            self.manager.rollback()
            del self._pending[stands:]
            raise
        return found

    def _execute(self, plan: StepPlan) -> Found:
        items = order(plan.scheduled)
        if not items:
            return [], Sampled()
        copies = []
        for item in items:
            reason = "decode" if item.decodes else "prefill"
            copies += self.manager.write(item.sequence.id, item.start, item.count, reason)
        batch = build_batch(items, self.manager, self.runner.model.spec.groups, self.runner.device)
        with self._interrupts.allowed(), torch.inference_mode():
            launches = self.runner.copy(copies)
            logits, launched = self.runner.run(batch)
            sampled = self.sampler.sample(items, logits)
        for launch in [*launches, *launched]:
            self._emit(launch)
        return items, sampled

    def _tell_finished(self, items: list[Scheduled], began: int) -> None:
        decode = sum(item.decodes for item in items)
        prefill = sum(item.count for item in items) - decode
        duration = (time.perf_counter_ns() - began) // 1000
        if not decode:
            self.costs.saw_prefill(prefill, duration)
        self._emit(StepFinished(duration, prefill, decode))


def _started(items: list[Scheduled]) -> StepStarted:
    return StepStarted(tuple((item.sequence.id, item.start, item.count) for item in items))
