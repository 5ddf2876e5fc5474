"""What an engine counts that its events do not say. How numbers are called outside is in ``facts``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """Since the engine was made.

    Attributes:
        prompt_tokens: of prompts whose K and V are all in memory.
        generation_tokens: tokens that were drawn.
        swaps: preempted requests that were swapped out.
        queried_tokens: tokens of new requests that were looked for in the prefix cache; what a request had computed
            itself before is none of them.
        recomputed_tokens: computed once more after a preemption. Fewer than it lost where some are found in the
            prefix cache; more where samples had shared blocks that each of them computes by itself.
    """

    prompt_tokens: int = 0
    generation_tokens: int = 0
    swaps: int = 0
    queried_tokens: int = 0
    recomputed_tokens: int = 0
