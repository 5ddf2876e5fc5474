"""What a hit in the prefix cache saves: the time to the first token with it, and after the cache was reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz.bench.asked import AskedEngine
from pagedviz.bench.batches import seconds
from pagedviz.bench.rows import Rows, median_ratio, spread

if TYPE_CHECKING:
    from pagedviz.engine import Engine

SHARED, OWN = 1000, 24
"""Tokens that a prompt has in common with the one before, and others."""


def prefix(asked: AskedEngine, rounds: int) -> Rows:
    """Milliseconds to the first token with a hit in the prefix cache (warm) and without (cold).

    1,000 of the prompt's tokens are shared. Ends with status 1 if the hit saved other than their full blocks.

    Args:
        asked: the engine.
        rounds: pairs of prompts.
    """
    engine = asked.make(max_num_batched_tokens=1024)
    size = engine.config.block_size
    head = [2 + (7919 * i) % 20_000 for i in range(SHARED)]
    cold, warm, saved = [], [], 0
    for number in range(rounds + 1):  # the first round compiles what compiles on first use
        engine.reset_prefix_cache()
        first, second = ([*head, *(100 + 1000 * number + part + i for i in range(OWN))] for part in (0, 500))
        cold.append(_first_token_ms(engine, first))
        before = engine.stats()["prefix_cache_hits"]
        warm.append(_first_token_ms(engine, second))
        saved = int(engine.stats()["prefix_cache_hits"] - before)
    found = SHARED // size * size
    row = {
        "prompt_tokens": SHARED + OWN,
        "shared_tokens": SHARED,
        "prefill_tokens_saved": saved,
        "tokens_in_full_shared_blocks": found,
        **spread("cold_ms", cold[1:], 1),
        **spread("warm_ms", warm[1:], 1),
        "median_speedup": round(median_ratio(cold[1:], warm[1:]), 2),
    }
    return [row], saved == found


def _first_token_ms(engine: Engine, prompt: list[int]) -> float:
    return 1000 * seconds(lambda: engine.generate(prompt, max_tokens=1, temperature=0.0))
