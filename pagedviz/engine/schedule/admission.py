"""Who has memory: carries out a plan's preemptions and admissions, and makes room for its blocks.

Each of these stands by itself: an exception between two of them leaves tables and events consistent. Decides
nothing; the plan does.
"""

from __future__ import annotations

from collections.abc import Sequence as Many

from pagedviz.engine.counters import Counters
from pagedviz.engine.request import Request, RequestStatus
from pagedviz.engine.schedule.plan import Admission, Preemption, StepPlan
from pagedviz.engine.schedule.preemption import tokens_in_memory
from pagedviz.engine.schedule.scheduler import Scheduler
from pagedviz.events import Emit, PrefixHit, PrefixMissed, RequestPreempted, RequestScheduled
from pagedviz.memory import BlockManager, Prefix, Swapper


class Admitter:
    """Moves requests into and out of the device tier."""

    def __init__(
        self,
        manager: BlockManager,
        swapper: Swapper,
        scheduler: Scheduler,
        counters: Counters,
        emit: Emit,
    ) -> None:
        self._manager = manager
        self._swapper = swapper
        self._scheduler = scheduler
        self._counters = counters
        self._emit = emit

    def prepare(self, plan: StepPlan) -> None:
        """All that must have happened before the plan's blocks are taken.

        Raises:
            BaseException: whatever a policy or a copy raised; what came before it stands.
        """
        for preemption in plan.preempted:
            self._preempt(preemption)
        begun: list[tuple[Request, Prefix]] = []
        try:
            for admission in plan.admitted:
                self._pin(admission)
            for admission in plan.admitted:
                if admission.prefix is not None:
                    self._begin(admission.request, admission.prefix)
                    begun.append((admission.request, admission.prefix))
            self._swapper.make_room(plan.num_blocks)
            for admission in plan.admitted:
                self._bring_back(admission)
        finally:
            for request, prefix in begun:
                self._settle(request, prefix)
            self._swapper.unpin()

    # -- out -------------------------------------------------------------------------------------------------

    def _preempt(self, preemption: Preemption) -> None:
        request, ids = preemption.request, _ids(preemption.request)
        dry_run = self._manager.dry_run()
        free = dry_run.num_free
        dry_run.release(ids)
        swaps = preemption.mode == "swap"
        lost = 0 if swaps else tokens_in_memory(request, self._manager)

        def announce() -> None:
            self._emit(
                RequestPreempted(request.id, preemption.mode, preemption.reason, dry_run.num_free - free, lost)
            )

        if swaps:
            self._swapper.swap_out(request.id, ids, announce)
            self._counters.swaps += 1
        else:
            announce()
            for sequence in request.active():
                self._manager.release(sequence.id)
                sequence.reached, sequence.computed = max(sequence.reached, sequence.computed), 0
            request.forked = False
        self._scheduler.preempt(request, RequestStatus.SWAPPED if swaps else RequestStatus.WAITING)
        request.preemptions += 1

    # -- in --------------------------------------------------------------------------------------------------

    def _pin(self, admission: Admission) -> None:
        """Nothing that the plan counts on is evicted to make room for it."""
        if admission.prefix is not None:
            self._swapper.pin(admission.prefix.names[: admission.prefix.found])
        else:
            for id_ in _ids(admission.request):
                self._swapper.pin(self._manager.names.of(id_))

    def _begin(self, request: Request, prefix: Prefix) -> None:
        """The request runs from here on, with what is on the device."""
        self._scheduler.admit(request)
        self._emit(RequestScheduled(request.id, request.preemptions > 0))
        leader = request.active()[0]
        self._manager.attach(leader.id, prefix, prefix.on_device)

    def _bring_back(self, admission: Admission) -> None:
        """What is in the host tier comes up."""
        request, prefix = admission.request, admission.prefix
        if prefix is None:
            self._swapper.swap_in(request.id, _ids(request), lambda: self._resume(request))
            self._scheduler.admit(request)
        elif prefix.found > prefix.on_device:
            self._swapper.promote(request.id, request.active()[0].id, prefix)

    def _resume(self, request: Request) -> None:
        self._emit(RequestScheduled(request.id, resumed=True))

    def _settle(self, request: Request, prefix: Prefix) -> None:
        """Say what was found of the request's tokens, and what was not."""
        leader = request.active()[0]
        resumed = request.preemptions > 0
        size = self._manager.block_size
        blocks = len(self._manager.tables(leader.id)[0])
        if blocks:
            leader.computed = blocks * size
            above = min(blocks, prefix.on_device)
            self._emit(PrefixHit(request.id, leader.id, blocks, blocks * size, blocks - above, resumed))
        missed = len(leader.tokens) - blocks * size
        if prefix.missed is not None:
            self._emit(PrefixMissed(request.id, leader.id, missed, prefix.missed, resumed))
        if not resumed and self._manager.device.cache is not None:
            self._counters.queried_tokens += len(leader.tokens)


def _ids(request: Request) -> Many[int]:
    return [sequence.id for sequence in request.active()]
