"""What a step's results change: lengths, names, forks, tokens, and which requests are over. Nothing here calls out.

Is told of a step only when it has happened, so nothing of this is ever undone. What a step is, and when it has
happened, is decided in ``core``; which tokens were drawn, in ``sampling``.
"""

from __future__ import annotations

from collections.abc import Callable

from pagedviz.engine.counters import Counters
from pagedviz.engine.request import Request
from pagedviz.engine.sampling.beam_request import BeamCommit
from pagedviz.engine.sampling.sampler import Draw, Sampled
from pagedviz.engine.schedule.plan import Scheduled
from pagedviz.engine.schedule.scheduler import Scheduler
from pagedviz.events import Emit, RequestFinished, SequenceFinished, SequenceForked, TokenAppended
from pagedviz.memory import BlockManager


class Commit:
    """Applies results to requests and memory.

    Args:
        new_sequences: gives the id of a new sequence.

    Attributes:
        requests: those that are not over, in the order in which they came.
        touched: requests that got a token, until somebody takes them out: an exception on the way loses none.
    """

    def __init__(
        self,
        manager: BlockManager,
        scheduler: Scheduler,
        counters: Counters,
        emit: Emit,
        new_sequences: Callable[[], int],
    ) -> None:
        self._manager = manager
        self._scheduler = scheduler
        self._counters = counters
        self._emit = emit
        self._commit_beams = BeamCommit(manager, emit, new_sequences)
        self.requests: dict[str, Request] = {}
        self.touched: dict[str, Request] = {}

    def apply(self, items: list[Scheduled], sampled: Sampled) -> None:
        """The step has happened: this is what it computed, and what it led to."""
        self._counters.generation_tokens += len(sampled.draws)
        for item in items:
            sequence, request = item.sequence, item.request
            self._counters.recomputed_tokens += max(0, min(item.start + item.count, sequence.reached) - item.start)
            sequence.computed += item.count
            if request not in sampled.faults:
                named = self._manager.fill(
                    sequence.id, sequence.tokens, sequence.computed, request.params.cache_salt
                )
                request.named.update(named)
        self._note_requests(sampled)
        for request in dict.fromkeys(item.request for item in items if item.request not in sampled.faults):
            self.fork(request)
        for draw in sampled.draws:
            self._append(draw)
            self.touched[draw.request.id] = draw.request
        for draw in sampled.draws:
            if draw.finish_reason is not None:
                self._end_sequence(draw.request, draw.sequence.id, draw.finish_reason)
        for search in sampled.beams:
            self._counters.generation_tokens += len(search.texts) + len(search.ended)
            self._commit_beams(search)
            self.touched[search.request.id] = search.request
            self._finish(search.request, search.request.sequences[0].finish_reason or "")

    def fork(self, request: Request) -> None:
        """Once the prompt is in memory, the other samples share its blocks."""
        leader = request.leader()
        if request.forked or leader.computed < leader.num_prompt:
            return
        others = [sequence for sequence in request.unfinished() if sequence is not leader]
        # When the leader is ahead, as after a preemption, a partly filled block holds what is not the prompt's.
        size = self._manager.block_size
        shared = leader.num_prompt if leader.computed == leader.num_prompt else leader.num_prompt // size * size
        for sequence in others:
            sequence.computed = shared
            self._emit(SequenceForked(request.id, leader.id, sequence.id, shared))
            self._manager.fork(leader.id, sequence.id, shared)
        request.forked = True
        if not leader.num_generated:  # not when the prompt is computed again after a preemption
            self._counters.prompt_tokens += leader.num_prompt

    def _append(self, draw: Draw) -> None:
        sequence = draw.sequence
        self._emit(TokenAppended(sequence.id, len(sequence.tokens), draw.token, draw.piece))
        sequence.tokens.append(draw.token)
        sequence.text = draw.text
        sequence.finish_reason, sequence.stop_reason = draw.finish_reason, draw.stop_reason
        sequence.cumulative_logprob += draw.logprob
        if draw.logprobs is not None:
            sequence.logprobs.append(draw.logprobs)

    def _note_requests(self, sampled: Sampled) -> None:
        """What was found of a request as a whole."""
        for request, logprobs in sampled.prompt_logprobs.items():
            request.prompt_logprobs += logprobs
        for request, error in sampled.faults.items():
            self._fail(request, error)

    def _fail(self, request: Request, error: str) -> None:
        """A request cannot go on: it ends, and nobody is to find what it wrote."""
        request.error = error
        self._manager.distrust(request.named)
        self.end(request, "error")
        self.touched[request.id] = request

    def end(self, request: Request, reason: str) -> None:
        """End what is unfinished of a request, and free its blocks."""
        for sequence in request.unfinished():
            sequence.finish_reason = reason
            self._end_sequence(request, sequence.id, reason)

    def _end_sequence(self, request: Request, sequence: int, reason: str) -> None:
        self._emit(SequenceFinished(request.id, sequence, reason))
        self._manager.release(sequence)
        self._finish(request, reason)

    def _finish(self, request: Request, reason: str) -> None:
        """A request without unfinished sequences is over."""
        if not request.unfinished() and request.id in self.requests:
            self._scheduler.remove(request)
            del self.requests[request.id]
            self._emit(RequestFinished(request.id, reason))
