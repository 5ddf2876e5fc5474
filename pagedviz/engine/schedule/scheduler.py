"""Who runs in the next step, and who is preempted. Plans with a dry run; moves requests between queues.

First come, first served: requests run in the order in which they came. When the pool is full a victim policy
names requests that give their blocks back, by swap or by recomputation, and wait again where they stood in
the queue. The request that came first is never among them, so it always gets on, and with it in the end
everybody. Prefills are cut into chunks that fit the step's token budget (chunked prefill, as in
Sarathi-Serve). It touches no block and no tensor.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.request import Request, RequestStatus
from pagedviz.engine.schedule.costs import CostModel
from pagedviz.engine.schedule.plan import Admission, Preemption, Scheduled, StepPlan
from pagedviz.engine.schedule.preemption import Preempting
from pagedviz.memory import BlockManager, DryRun, Prefix
from pagedviz.values import counted


class Scheduler:
    """The queues, and the plan of the next step."""

    def __init__(self, config: EngineConfig, manager: BlockManager, costs: CostModel, bytes_per_block: int) -> None:
        self._config = config
        self._manager = manager
        self._preempting = Preempting(config, manager, costs, bytes_per_block)
        self.waiting: list[Request] = []
        self.running: list[Request] = []

    # -- planning: changes nothing ---------------------------------------------------------------------------

    def plan(self) -> StepPlan:
        """What the next step should do. Asking twice gives the same answer.

        Raises:
            PolicyError: the victim policy raised, or chose none of the requests it was given.
        """
        preempted: list[Preemption] = []
        freed = self._manager.dry_run()
        while True:
            running = self._without(preempted)
            step = freed.copy()
            scheduled, short = self._run(running, step)
            if not short:
                break
            preempted.append(self._preempting.next(running, freed, short))
        admitted = self._admit(scheduled, step) if self.waiting and not preempted else []
        return StepPlan(tuple(scheduled), tuple(preempted), tuple(admitted), step.num_taken)

    def _without(self, preempted: Iterable[Preemption]) -> list[Request]:
        gone = {item.request.id for item in preempted}
        return [request for request in self.running if request.id not in gone]

    def _run(self, running: list[Request], step: DryRun) -> tuple[list[Scheduled], str]:
        """What running requests compute, counted in ``step``; and if blocks do not suffice, for whom and why."""
        budget = self._config.max_num_batched_tokens
        scheduled: list[Scheduled] = []
        for request in running:
            work = _work(request, budget)
            free = step.num_free
            for item in work:
                step.write(item.sequence.id, item.start, item.count)
            if step.num_free < 0:
                needs, total = free - step.num_free, self._config.num_device_blocks
                blocks, are = counted(needs, "block"), "is" if free == 1 else "are"
                return scheduled, f"{request.id} needs {blocks}, and {free} of {total} {are} free"
            scheduled += work
            budget -= sum(item.count for item in work)
        return scheduled, ""

    def _admit(self, scheduled: list[Scheduled], step: DryRun) -> list[Admission]:
        """Let waiting requests begin, in order, while sequences, tokens and blocks last.

        What they compute in this step is added to ``scheduled``, and counted in ``step`` as done.
        """
        admitted: list[Admission] = []
        # Room for all that is known of everybody, though the first chunks may be shorter: a request that cannot
        # compute its tokens, or those of its samples, would only push others out.
        whole = self._manager.dry_run()
        for request in self.running:
            self._complete(request, whole)
        budget = self._config.max_num_batched_tokens - sum(item.count for item in scheduled)
        seats = self._config.max_num_seqs - sum(request.seats() for request in self.running)
        for request in self.waiting:
            seats -= request.seats()
            if seats < 0 or budget == 0:
                break
            admission = self._admission(request)
            count_admission(admission, whole)
            self._complete(request, whole, admission.prefix)
            if whole.num_free < 0:
                break
            found = None if admission.prefix is None else admission.prefix.found
            work = _work(request, budget, None if found is None else found * self._config.block_size)
            count_admission(admission, step)
            for item in work:
                step.write(item.sequence.id, item.start, item.count, found)
            scheduled += work
            budget -= sum(item.count for item in work)
            admitted.append(admission)
        return admitted

    def _admission(self, request: Request) -> Admission:
        """How a waiting request would begin."""
        if request.status is RequestStatus.SWAPPED:
            return Admission(request, None)
        leader = request.active()[0]
        if not request.reads_cache:
            missed = (
                None if self._manager.device.cache is None else "prompt_logprobs need all of the prompt computed"
            )
            return Admission(request, Prefix((), 0, 0, missed))
        return Admission(request, self._manager.finder.find(leader.id, leader.tokens, request.params.cache_salt))

    def _complete(self, request: Request, dry_run: DryRun, prefix: Prefix | None = None) -> None:
        """Count all tokens of a request as computed, also of the samples and beams that will fork from its leader.

        ``prefix``: what it will begin with, if not with the blocks that it has.
        """
        size, have = self._config.block_size, None if prefix is None else prefix.found
        for sequence in request.active():
            start = sequence.computed if have is None else have * size
            dry_run.write(sequence.id, start, len(sequence.tokens) - start, have)
        if not request.forked:
            # They share the prompt's full blocks; each needs its own copy of all that follows.
            tokens = max(len(sequence.tokens) for sequence in request.unfinished())
            each = -(-tokens // size) - request.leader().num_prompt // size
            dry_run.take((request.seats() - 1) * each * self._manager.num_groups)

    def may_admit(self) -> bool:
        """True if somebody waits and there are seats for the first; whether there are blocks is not asked."""
        seats = self._config.max_num_seqs - sum(request.seats() for request in self.running)
        return bool(self.waiting) and self.waiting[0].seats() <= seats

    # -- queues ----------------------------------------------------------------------------------------------

    def add(self, request: Request) -> None:
        """Put a new request at the end of the queue."""
        self.waiting.append(request)

    def preempt(self, request: Request, status: RequestStatus) -> None:
        """Move a running request back to its place in the queue."""
        self.running.remove(request)
        insort(self.waiting, request, key=_number)
        request.status = status

    def admit(self, request: Request) -> None:
        """Move a waiting request to those that run."""
        self.waiting.remove(request)
        insort(self.running, request, key=_number)
        request.status = RequestStatus.RUNNING

    def remove(self, request: Request) -> None:
        """Take a finished request out of its queue."""
        if request in self.running:
            self.running.remove(request)
        if request in self.waiting:
            self.waiting.remove(request)
        request.status = RequestStatus.FINISHED


def count_admission(admission: Admission, dry_run: DryRun) -> None:
    """Count what a request begins with as being on the device."""
    if admission.prefix is None:
        dry_run.swap_in(sequence.id for sequence in admission.request.active())
    else:
        dry_run.hit(admission.prefix)


def _number(request: Request) -> int:
    return request.number


def _work(request: Request, budget: int, have: int | None = None) -> list[Scheduled]:
    """What a request can compute within the budget; nothing if it is spent. ``have``: tokens that were found.

    Beams wait for each other before their last tokens, and then need budget for all of them.
    """
    work = []
    sequences = request.active()
    left = [len(s.tokens) - (s.computed if have is None else have) for s in sequences]
    held = 0
    if request.in_step:
        together = request.forked and max(left) == 1
        if together and len(left) > budget:
            return []
        held = 0 if together else 1
    for sequence in sequences:
        start = sequence.computed if have is None else have
        count = min(len(sequence.tokens) - start - held, budget)
        if count:
            work.append(Scheduled(request, sequence, start, count))
            budget -= count
    return work
