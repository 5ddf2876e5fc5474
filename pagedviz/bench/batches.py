"""Batches of the eight prompts: what the engine is given when its speed is measured, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from pagedviz.bench.prompts import PROMPTS

if TYPE_CHECKING:
    from pagedviz.engine import Engine


def prompt_tokens(tokenizer: Any) -> list[list[int]]:
    """Token ids of every prompt."""
    return [tokenizer(prompt)["input_ids"] for prompt in PROMPTS]


def batch_of(prompts: Sequence[list[int]], size: int) -> list[list[int]]:
    """As many prompts as asked for; they repeat."""
    return list(islice(cycle(prompts), size))


def blocks_for(batch: int, max_tokens: int, block_size: int) -> int:
    """Room for the batch without preemption: prompts here have fewer than 128 tokens."""
    return batch * -(-(128 + max_tokens) // max(1, block_size))


def serve(engine: Engine, batch: Sequence[list[int]], max_tokens: int) -> None:
    """Generate as many tokens for every prompt, greedily."""
    engine.generate([list(prompt) for prompt in batch], max_tokens=max_tokens, temperature=0.0, ignore_eos=True)


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes on the wall's clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
