"""Who runs in the next step, and who is preempted. Plans with a dry run; moves requests between queues.

First come, first served: requests run in the order in which they arrived, and when the pool is full the
newest one gives its blocks back and waits at the front of the queue. Prefills are cut into chunks that fit
the step's token budget (chunked prefill, as in Sarathi-Serve). It touches no block and no tensor.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.request import Request, RequestStatus, Sequence
from pagedviz.memory import BlockManager, Trial


@dataclass(frozen=True)
class Scheduled:
    """Tokens ``start`` to ``start + count - 1`` of a sequence are to be computed."""

    request: Request
    sequence: Sequence
    start: int
    count: int

    @property
    def samples(self) -> bool:
        """True when the last token is among them, so that a next one can be drawn."""
        return self.start + self.count == len(self.sequence.tokens)

    @property
    def decodes(self) -> bool:
        """True when the one token to compute was generated."""
        return self.count == 1 and self.start >= self.sequence.num_prompt


@dataclass(frozen=True)
class StepPlan:
    """One step: what to compute, whose blocks to take for it, and who begins to run.

    ``reason`` says why requests are preempted.
    """

    scheduled: tuple[Scheduled, ...]
    preempted: tuple[Request, ...]
    admitted: tuple[Request, ...]
    reason: str


class Scheduler:
    """The queues, and the plan of the next step."""

    def __init__(self, config: EngineConfig, manager: BlockManager) -> None:
        self._config = config
        self._manager = manager
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []

    # -- planning: changes nothing ---------------------------------------------------------------------------

    def plan(self) -> StepPlan:
        """What the next step should do. Asking twice gives the same answer."""
        budget = self._config.max_num_batched_tokens
        trial = self._manager.trial()
        running = list(self.running)
        scheduled: list[Scheduled] = []
        preempted: list[Request] = []
        reason = ""
        position = 0
        while position < len(running):
            request = running[position]
            work = _work(request, budget)
            attempt = _attempt(trial, work)
            if attempt.num_free < 0:
                victim = running.pop()
                preempted.append(victim)
                reason = reason or (
                    f"{request.id} needs blocks: {trial.num_free - attempt.num_free}, and "
                    f"{trial.num_free} of {self._config.num_device_blocks} are free"
                )
                trial.release(sequence.id for sequence in victim.active())
                continue
            trial = attempt
            scheduled += work
            budget -= sum(item.count for item in work)
            position += 1
        admitted = [] if preempted else self._admit(trial, budget, scheduled)
        return StepPlan(tuple(scheduled), tuple(preempted), tuple(admitted), reason)

    def _admit(self, trial: Trial, budget: int, scheduled: list[Scheduled]) -> list[Request]:
        """Let waiting requests begin, in order, while sequences, tokens and blocks last."""
        admitted: list[Request] = []
        seats = self._config.max_num_seqs - sum(len(request.unfinished()) for request in self.running)
        for request in self.waiting:
            leader = request.active()[0]
            seats -= len(request.unfinished())
            # Room for all that is known of it, though the first chunk may be shorter: a request that cannot
            # finish its prompt would only push others out.
            whole = trial.copy()
            whole.write(leader.id, 0, len(leader.tokens))
            if seats < 0 or budget == 0 or whole.num_free < 0:
                break
            work = _work(request, budget)
            trial = whole
            scheduled += work
            budget -= work[0].count
            admitted.append(request)
        return admitted

    # -- queues ----------------------------------------------------------------------------------------------

    def add(self, request: Request) -> None:
        """Put a new request at the end of the queue."""
        self.waiting.append(request)

    def preempt(self, request: Request) -> None:
        """Move a running request to the front of the queue: it came before all that wait there."""
        self.running.remove(request)
        self.waiting.appendleft(request)
        request.status = RequestStatus.WAITING

    def admit(self, request: Request) -> None:
        """Move the first waiting request to those that run."""
        self.waiting.remove(request)
        self.running.append(request)
        request.status = RequestStatus.RUNNING

    def remove(self, request: Request) -> None:
        """Take a finished request out of its queue."""
        if request in self.running:
            self.running.remove(request)
        if request in self.waiting:
            self.waiting.remove(request)
        request.status = RequestStatus.FINISHED


def _work(request: Request, budget: int) -> list[Scheduled]:
    """What a request can compute within the budget; nothing if the budget is spent."""
    work = []
    for sequence in request.active():
        count = min(len(sequence.tokens) - sequence.computed, budget)
        if count:
            work.append(Scheduled(request, sequence, sequence.computed, count))
            budget -= count
    return work


def _attempt(trial: Trial, work: list[Scheduled]) -> Trial:
    attempt = trial.copy()
    for item in work:
        attempt.write(item.sequence.id, item.start, item.count)
    return attempt
