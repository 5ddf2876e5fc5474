"""What an engine has counted since it was made. Numbers only; how they are called outside is in ``describe``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """Tokens and requests.

    Attributes:
        prompt_tokens: of prompts whose K and V are all in memory.
        generation_tokens: tokens that were drawn.
        preemptions: requests whose blocks were taken away.
        swaps: those of them that were swapped out.
        recomputed_tokens: K and V that were given up by preemption.
        queried_tokens: tokens of new requests that were looked for in the prefix cache.
        hit_tokens: how many of them were found. What a request had computed itself before is in neither.
    """

    prompt_tokens: int = 0
    generation_tokens: int = 0
    preemptions: int = 0
    swaps: int = 0
    recomputed_tokens: int = 0
    queried_tokens: int = 0
    hit_tokens: int = 0
    requests_finished: int = 0
