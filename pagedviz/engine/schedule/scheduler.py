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
from dataclasses import dataclass

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.request import Request, RequestStatus, Sequence
from pagedviz.engine.schedule.costs import CostModel
from pagedviz.engine.schedule.victims import Candidate, make_victim_policy
from pagedviz.errors import PolicyError
from pagedviz.memory import BlockManager, Prefix, Trial
from pagedviz.memory.plugin import explanation, name_of


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


def order(scheduled: Iterable[Scheduled]) -> list[Scheduled]:
    """Sequences with one token to compute first, as the kernels want them; otherwise in the plan's order."""
    return sorted(scheduled, key=lambda item: item.count > 1)


@dataclass(frozen=True)
class Preemption:
    """A running request gives its blocks back, by ``mode``, for a reason that a person can read."""

    request: Request
    mode: str
    reason: str


@dataclass(frozen=True)
class Admission:
    """A waiting request begins, or goes on, with what was found of its tokens; None if it was swapped out."""

    request: Request
    prefix: Prefix | None


@dataclass(frozen=True)
class StepPlan:
    """One step: what to compute, whose blocks to take for it, and who begins to run.

    ``num_blocks`` is how many free device blocks all of this takes.
    """

    scheduled: tuple[Scheduled, ...]
    preempted: tuple[Preemption, ...]
    admitted: tuple[Admission, ...]
    num_blocks: int


class Scheduler:
    """The queues, and the plan of the next step."""

    def __init__(self, config: EngineConfig, manager: BlockManager, costs: CostModel, bytes_per_block: int) -> None:
        self._config = config
        self._manager = manager
        self._costs = costs
        self._bytes_per_block = bytes_per_block
        self._victims = make_victim_policy(config.victim)
        self.waiting: list[Request] = []
        self.running: list[Request] = []

    # -- planning: changes nothing ---------------------------------------------------------------------------

    def plan(self) -> StepPlan:
        """What the next step should do. Asking twice gives the same answer.

        Raises:
            PolicyError: the victim policy raised, or chose none of the requests it was given.
        """
        preempted: list[Preemption] = []
        freed = self._manager.trial()
        while True:
            running = self._without(preempted)
            scheduled, short = self._run(running, freed.copy())
            if short is None:
                break
            preempted.append(self._preempt(running, freed, short))
        admitted = self._admit(scheduled) if self.waiting and not preempted else []
        taken = self._taken(freed, scheduled, admitted)
        return StepPlan(tuple(scheduled), tuple(preempted), tuple(admitted), taken)

    def _without(self, preempted: Iterable[Preemption]) -> list[Request]:
        gone = {item.request.id for item in preempted}
        return [request for request in self.running if request.id not in gone]

    def _run(self, running: list[Request], trial: Trial) -> tuple[list[Scheduled], str | None]:
        """What running requests compute; and if blocks do not suffice, for whom not and why."""
        budget = self._config.max_num_batched_tokens
        scheduled: list[Scheduled] = []
        for request in running:
            work = _work(request.active(), request, budget)
            attempt = trial.copy()
            for item in work:
                attempt.write(item.sequence.id, item.start, item.count)
            if attempt.num_free < 0:
                needs, total = trial.num_free - attempt.num_free, self._config.num_device_blocks
                blocks = "1 block" if needs == 1 else f"{needs} blocks"
                return scheduled, f"{request.id} needs {blocks}, and {trial.num_free} of {total} are free"
            trial = attempt
            scheduled += work
            budget -= sum(item.count for item in work)
        return scheduled, None

    def _preempt(self, running: list[Request], trial: Trial, short: str) -> Preemption:
        """The next victim; ``trial`` counts its blocks as given back."""
        assert len(running) > 1, "a request that is alone fits: that was checked when it came"
        candidates = [Candidate(request, tokens_in_memory(request, self._manager)) for request in running[1:]]
        chosen, why = self._choose(candidates)
        victim = chosen.request
        ids = [sequence.id for sequence in victim.active()]
        mode, how = self._mode(chosen, trial, ids)
        if mode == "swap":
            trial.swap_out(ids)
        else:
            trial.release(ids)
        return Preemption(victim, mode, "; ".join(filter(None, (short, why, how))))

    def _choose(self, candidates: list[Candidate]) -> tuple[Candidate, str]:
        name = name_of(self._victims)
        try:
            victim = self._victims.choose(tuple(candidates))
            why = explanation("victim policy", self._victims, self._victims.explain(victim))
        except PolicyError:
            raise
        except Exception as error:
            raise PolicyError(f"victim policy {name!r} raised {error!r}") from error
        if victim not in candidates:
            valid = [candidate.request.id for candidate in candidates]
            raise PolicyError(f"victim policy {name!r} chose {victim!r}, which is none of {valid}")
        return victim, why

    def _mode(self, victim: Candidate, trial: Trial, ids: list[int]) -> tuple[str, str]:
        """Swap or recompute, and what there is to say about it."""
        wanted = victim.request.params.preemption or self._config.preemption
        blocks = {block for id_ in ids for table in self._manager.tables(id_) for block in table}
        if wanted == "recompute" or not blocks:
            return "recompute", ""
        if len(blocks) > trial.num_host_free:
            total = self._config.num_host_blocks
            if wanted == "auto" and not total:
                return "recompute", ""
            room = f"of {total} host blocks {trial.num_host_free} are free"
            return "recompute", f"not swapped: it has {len(blocks)} blocks, and {room}"
        if wanted == "swap":
            return "swap", ""
        return self._costs.choose(len(blocks) * self._bytes_per_block, victim.tokens)

    def _admit(self, scheduled: list[Scheduled]) -> list[Admission]:
        """Let waiting requests begin, in order, while sequences, tokens and blocks last."""
        admitted: list[Admission] = []
        # Room for all that is known of everybody, though the first chunks may be shorter: a request that cannot
        # compute its tokens, or those of its samples, would only push others out.
        trial = self._manager.trial()
        for request in self.running:
            self._complete(request, trial)
        budget = self._config.max_num_batched_tokens - sum(item.count for item in scheduled)
        seats = self._config.max_num_seqs - sum(request.seats() for request in self.running)
        for request in self.waiting:
            seats -= request.seats()
            if seats < 0 or budget == 0:
                break
            whole = trial.copy()
            admission = self._try(request, whole)
            if whole.num_free < 0:
                break
            have = self._computed(admission)
            work = _work(request.active(), request, budget, have)
            trial = whole
            scheduled += work
            budget -= sum(item.count for item in work)
            admitted.append(admission)
        return admitted

    def _try(self, request: Request, trial: Trial) -> Admission:
        """Count a waiting request with all its tokens as running."""
        if request.status is RequestStatus.SWAPPED:
            trial.swap_in(sequence.id for sequence in request.active())
            self._complete(request, trial)
            return Admission(request, None)
        leader = request.active()[0]
        prefix = self._manager.finder.find(leader.id, leader.tokens, request.params.cache_salt)
        trial.hit(prefix)
        self._complete(request, trial, prefix)
        return Admission(request, prefix)

    def _complete(self, request: Request, trial: Trial, prefix: Prefix | None = None) -> None:
        """Count all tokens of a request as computed, also of the samples and beams that will fork from its leader.

        ``prefix``: what it will begin with, if not with the blocks that it has.
        """
        size, have = self._config.block_size, None if prefix is None else prefix.found
        for sequence in request.active():
            start = sequence.computed if have is None else have * size
            trial.write(sequence.id, start, len(sequence.tokens) - start, have)
        if not request.forked:
            # They share the prompt's full blocks; each needs its own copy of all that follows.
            tokens = max(len(sequence.tokens) for sequence in request.unfinished())
            each = -(-tokens // size) - request.leader().num_prompt // size
            trial.take((request.seats() - 1) * each * self._manager.num_groups)

    def _computed(self, admission: Admission) -> int | None:
        return None if admission.prefix is None else admission.prefix.found * self._config.block_size

    def _taken(self, freed: Trial, scheduled: list[Scheduled], admitted: list[Admission]) -> int:
        """The free blocks that the step takes."""
        trial = freed.copy()
        found = {}
        for admission in admitted:
            if admission.prefix is None:
                trial.swap_in(sequence.id for sequence in admission.request.active())
            else:
                trial.hit(admission.prefix)
                found[admission.request.active()[0].id] = admission.prefix.found
        for item in scheduled:
            trial.write(item.sequence.id, item.start, item.count, found.get(item.sequence.id))
        return trial.num_taken

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


def tokens_in_memory(request: Request, manager: BlockManager) -> int:
    """How many tokens a running request has in memory: what it loses if they must be computed again."""
    return manager.num_tokens({sequence.id: sequence.computed for sequence in request.active()})


def _number(request: Request) -> int:
    return request.number


def _work(sequences: list[Sequence], request: Request, budget: int, have: int | None = None) -> list[Scheduled]:
    """What a request can compute within the budget; nothing if it is spent. ``have``: tokens that were found.

    Beams wait for each other before their last tokens, and then need budget for all of them.
    """
    work = []
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
