"""A request that searches with beams: its sequences follow the search step by step.

``beam`` decides which beams go on; here the decision becomes forks, tokens and dropped sequences. A beam that
goes on in several ways is forked, one that goes on in none is dropped. A finished beam keeps no blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch

from pagedviz.engine.detokenize import TextState
from pagedviz.engine.request import Request, Sequence
from pagedviz.engine.sampling.beam import Adjust, BeamStep, advance
from pagedviz.engine.sampling.faults import blaming
from pagedviz.engine.sampling.hypotheses import Finished, best
from pagedviz.events import (
    Emit,
    SequenceDropped,
    SequenceFinished,
    SequenceForked,
    TokenAppended,
)
from pagedviz.memory import BlockManager

Read = Callable[[Sequence, int], tuple[TextState, str]]
"""The text of a sequence with one more token, and what the token adds to it."""


@dataclass(frozen=True)
class BeamDraw:
    """One step of a request's search.

    Attributes:
        texts: for every beam that goes on, its text and what its token adds.
        ended: beams that finished in this step, each with the one it grew from and its text.
    """

    request: Request
    step: BeamStep
    texts: tuple[tuple[TextState, str], ...]
    ended: tuple[tuple[Finished, Sequence, TextState, str], ...]


def draw_beams(
    request: Request, logits: torch.Tensor, eos: Collection[int], read: Read, adjust: Adjust | None = None
) -> BeamDraw:
    """Decide, and change nothing. ``logits`` (number of running beams, vocab_size), in the request's order."""
    params, running = request.params, request.unfinished()
    with blaming(request, len(running[0].tokens)):
        step = advance(
            request.search,
            logits,
            width=params.width,
            max_tokens=request.max_tokens,
            eos=eos,
            length_penalty=params.length_penalty,
            early_stopping=params.early_stopping,
            adjust=adjust,
        )
    parents = [running[parent] for parent in step.parents]
    texts = tuple(read(parent, token) for parent, token in zip(parents, step.tokens, strict=True))
    by_tokens = {_generated(sequence): sequence for sequence in running}
    known = {beam.tokens for beam in request.search.finished}
    ended = []
    for beam in step.state.finished:
        if beam.tokens not in known:
            parent = by_tokens[beam.tokens[:-1]]
            text, piece = read(parent, beam.tokens[-1])
            # A token that ends it is not shown, be it an ordinary word.
            ended.append((beam, parent, parent.text if beam.finish_reason == "stop" else text, piece))
    return BeamDraw(request, step, texts, tuple(ended))


def _generated(sequence: Sequence) -> tuple[int, ...]:
    return tuple(sequence.tokens[sequence.num_prompt :])


class BeamCommit:
    """Applies a draw to the request's sequences and their blocks."""

    def __init__(self, manager: BlockManager, emit: Emit, new_id: Callable[[], int]) -> None:
        self._manager = manager
        self._emit = emit
        self._new_id = new_id

    def __call__(self, draw: BeamDraw) -> None:
        """One step of the search has happened."""
        request, state = draw.request, draw.step.state
        running = request.unfinished()
        for ended in draw.ended:
            self._end(request, *ended)
        survivors = self._fork(request, running, draw.step.parents)
        for sequence in running:
            if sequence not in survivors:
                self._drop(request, sequence)
        for beam, sequence, token, (text, piece) in zip(
            state.running, survivors, draw.step.tokens, draw.texts, strict=True
        ):
            self._append(sequence, token, text, piece)
            sequence.cumulative_logprob = beam.logprob
        keep = best(state, request.params.n) if draw.step.done else state.finished
        self._keep(request, survivors, keep)
        request.search = state

    def _end(self, request: Request, beam: Finished, parent: Sequence, text: TextState, piece: str) -> None:
        """A finished beam is a sequence of its own, without blocks."""
        child = self._child(parent, computed=0)
        self._emit(SequenceForked(request.id, parent.id, child.id, 0))
        self._append(child, beam.tokens[-1], text, piece)
        child.cumulative_logprob, child.finish_reason = beam.logprob, beam.finish_reason
        if beam.tokens[-1] in (request.params.stop_token_ids or ()):
            child.stop_reason = beam.tokens[-1]
        request.sequences.append(child)
        self._emit(SequenceFinished(request.id, child.id, beam.finish_reason))

    def _fork(self, request: Request, running: list[Sequence], parents: tuple[int, ...]) -> list[Sequence]:
        """The sequences that go on: each parent itself for its best child, forks of it for the others."""
        survivors: list[Sequence] = []
        for index in parents:
            parent = running[index]
            if parent not in survivors:
                survivors.append(parent)
                continue
            child = self._child(parent, computed=parent.computed)
            self._emit(SequenceForked(request.id, parent.id, child.id, parent.computed))
            self._manager.fork(parent.id, child.id, parent.computed)
            survivors.append(child)
        return survivors

    def _child(self, parent: Sequence, computed: int) -> Sequence:
        return Sequence(self._new_id(), 0, parent.num_prompt, [*parent.tokens], computed=computed, text=parent.text)

    def _append(self, sequence: Sequence, token: int, text: TextState, piece: str) -> None:
        self._emit(TokenAppended(sequence.id, len(sequence.tokens), token, piece))
        sequence.tokens.append(token)
        sequence.text = text

    def _drop(self, request: Request, sequence: Sequence) -> None:
        self._manager.release(sequence.id)
        self._emit(SequenceDropped(request.id, sequence.id))

    def _keep(self, request: Request, survivors: list[Sequence], beams: tuple[Finished, ...]) -> None:
        """The request's sequences: those that go on, best first, then the finished ones, best first."""
        finished = {_generated(s): s for s in request.sequences if s.finish_reason is not None}
        kept = [finished.pop(beam.tokens) for beam in beams]
        for sequence in finished.values():
            self._emit(SequenceDropped(request.id, sequence.id))
        request.sequences = [*survivors, *kept]
        for index, sequence in enumerate(request.sequences):
            sequence.index = index
