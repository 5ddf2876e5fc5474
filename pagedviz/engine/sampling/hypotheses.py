"""Where a beam search stands: its growing beams and its finished ones. Data; how they grow is `beam`'s."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Beam:
    """One hypothesis.

    Attributes:
        tokens: what was generated, without the prompt.
        logprob: sum of the tokens' log probabilities, added up in float32.
    """

    tokens: tuple[int, ...] = ()
    logprob: float = 0.0


@dataclass(frozen=True)
class Finished(Beam):
    """A hypothesis that is complete; its last token may be an end token.

    Attributes:
        score: ``logprob / len(tokens) ** length_penalty``; finished beams are ranked by it.
    """

    score: float = -math.inf
    finish_reason: Literal["stop", "length"] = "length"


@dataclass(frozen=True)
class BeamState:
    """Where a search stands; ``BeamState()`` is its beginning, one beam without tokens.

    Attributes:
        running: the beams that grow, best first, all of the same length; none once the search is over.
        finished: the best complete ones, best first, at most as many as the search is wide.
    """

    running: tuple[Beam, ...] = (Beam(),)
    finished: tuple[Finished, ...] = ()


def best(state: BeamState, n: int) -> tuple[Finished, ...]:
    """The ``n`` best of a search that is over; fewer if there are not as many different continuations."""
    assert not state.running, "the search goes on"
    return state.finished[:n]
