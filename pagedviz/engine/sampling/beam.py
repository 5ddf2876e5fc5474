"""Beam search: which beams go on after a step, which are finished, and when to stop; the rules of transformers.

Knows nothing of requests, blocks or text: logits come in, and every surviving beam's parent and token go out.
As in ``model.generate(num_beams=width, do_sample=False)``, two or more candidates per beam are ranked by the sum
of their log probabilities. Only one among the best ``width`` may finish; the best that do not end go on. Sums
are compared among growing beams, and sums over length among finished ones: so a beam that ends gives its place
to the next best, and the search is over when the growing ones can no longer overtake the finished ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from pagedviz.engine.sampling.hypotheses import Beam, BeamState, Finished

NEVER = -1e9
"""What transformers adds to a sum that must not be taken. Equals come in another order with any other number."""


Adjust = Callable[[torch.Tensor], torch.Tensor]
"""(beams, vocab_size) -> the same, with some tokens more or less likely."""


@dataclass(frozen=True)
class BeamStep:
    """What one step did.

    Attributes:
        parents: for each surviving beam, best first, the index of the running beam that it grew from.
        tokens: for each surviving beam, the token that it got.
        state: the search after the step; ``state.running`` are the survivors, in the same order.
    """

    parents: tuple[int, ...]
    tokens: tuple[int, ...]
    state: BeamState

    @property
    def done(self) -> bool:
        """True when the search is over: nothing survives, and ``state.finished`` is the result."""
        return not self.parents


def advance(
    state: BeamState,
    logits: torch.Tensor,
    *,
    width: int,
    max_tokens: int,
    eos: Collection[int] = (),
    length_penalty: float = 1.0,
    early_stopping: bool | Literal["never"] = False,
    adjust: Adjust | None = None,
) -> BeamStep:
    """Grow every running beam by a token.

    Args:
        state: the search before the step; it must not be over.
        logits: (number of running beams, vocab_size), of any float type, in the order of ``state.running``.
        width: how many beams grow, and how many finished ones are kept.
        max_tokens: beams of this length finish.
        eos: tokens that finish a beam, without repetition.
        length_penalty: above 0 favours long beams, below 0 short ones.
        early_stopping: True: over when ``width`` beams are finished. False: when moreover the best running
            beam would not be among them if it ended now. ``"never"``: when it could not be at any later
            length either.
        adjust: what changes the running beams' log probabilities before they are compared, as transformers does.
    """
    assert len(logits) == len(state.running) > 0, "one row of logits per running beam"
    length = len(state.running[0].tokens) + 1
    # Even if every beam has all the end tokens among its best, `width` others are left.
    count = max(2, 1 + len(eos)) * width
    parents, tokens, sums = _candidates(state.running, logits, width, count, adjust)
    grown = [
        Beam((*state.running[parent].tokens, token), total)
        for parent, token, total in zip(parents, tokens, sums.tolist(), strict=True)
    ]
    ends = torch.tensor([length >= max_tokens or token in eos for token in tokens], dtype=torch.bool)
    finished = _finished(state.finished, grown, sums / length**length_penalty, ends, width, eos)
    ranked = (sums + ends * NEVER).topk(min(width, len(sums))).indices.tolist()
    survivors = [index for index in ranked if not ends[index]]
    if len(finished) == width and survivors:
        final = length if early_stopping != "never" or length_penalty <= 0 else max_tokens
        reachable = float(sums[survivors[0]] / final**length_penalty)
        if early_stopping is True or not reachable > finished[-1].score:
            survivors = []
    return BeamStep(
        tuple(parents[index] for index in survivors),
        tuple(tokens[index] for index in survivors),
        BeamState(tuple(grown[index] for index in survivors), finished),
    )


def _candidates(
    running: Sequence[Beam], logits: torch.Tensor, width: int, count: int, adjust: Adjust | None
) -> tuple[list[int], list[int], torch.Tensor]:
    """Parents, tokens and sums (float32, on the CPU) of the ``count`` best continuations, best first."""
    # NaN, from a model that is broken: all tokens are alike, so that every search has a result.
    logprobs = logits.float().log_softmax(-1).nan_to_num(nan=-100.0, neginf=-math.inf)
    if adjust is not None:
        logprobs = adjust(logprobs)
    # As in transformers, `width` rows from the first step on: equals come in another order with fewer.
    missing = width - len(running)
    logprobs = torch.cat([logprobs, logprobs[:1].expand(missing, -1)])
    before = [*(beam.logprob for beam in running), *[NEVER] * missing]
    sums = (logprobs + torch.tensor(before, dtype=torch.float32, device=logits.device)[:, None]).flatten()
    values, indices = (found.cpu() for found in sums.topk(min(count, len(sums))))
    possible = values > NEVER / 2
    indices, vocab_size = indices[possible], logits.shape[1]
    return (indices // vocab_size).tolist(), (indices % vocab_size).tolist(), values[possible]


def _finished(
    known: Sequence[Finished],
    grown: Sequence[Beam],
    scores: torch.Tensor,
    ends: torch.Tensor,
    width: int,
    eos: Collection[int],
) -> tuple[Finished, ...]:
    """The best ``width`` of those finished before and those that end now among the best ``width`` grown."""
    taken = ends & (torch.arange(len(grown)) < width)
    empty = width - len(known)
    beams: list[Finished | None] = [*known, *[None] * empty]
    for beam, score, take in zip(grown, scores.tolist(), taken.tolist(), strict=True):
        reason: Literal["stop", "length"] = "stop" if beam.tokens[-1] in eos else "length"
        beams.append(Finished(beam.tokens, beam.logprob, score, reason) if take else None)
    ranks = torch.tensor([*(beam.score for beam in known), *[0.0] * empty], dtype=torch.float32)
    ranks = torch.cat([ranks, scores])
    # Long beams with a negative penalty have scores below any fixed number.
    never = min(NEVER, 4 * float(ranks.min()))
    ranks += torch.tensor([beam is None for beam in beams]) * never
    return tuple(beam for index in ranks.topk(width).indices.tolist() if (beam := beams[index]) is not None)
