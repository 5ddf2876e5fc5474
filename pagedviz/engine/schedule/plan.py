"""What a plan says: which tokens are computed in a step, who is preempted for it, and who begins. Data only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pagedviz.engine.request import Request, Sequence
from pagedviz.memory import Prefix


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
    def wanted(self) -> list[int]:
        """Whose logits are wanted, counted from ``start``: those of the prompt, and the last token's."""
        last = [self.count - 1] if self.samples else []
        return [*range(*self._of_prompt()), *last]

    @property
    def num_prompt_rows(self) -> int:
        """How many of these are for log probabilities of the prompt."""
        return len(range(*self._of_prompt()))

    def _of_prompt(self) -> tuple[int, int]:
        if self.request.params.prompt_logprobs is None:
            return 0, 0
        # The logits at a position are the next token's; what was known before a preemption is known.
        first = max(0, len(self.request.prompt_logprobs) - 1 - self.start)
        return first, max(first, min(self.count, self.sequence.num_prompt - 1 - self.start))

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
