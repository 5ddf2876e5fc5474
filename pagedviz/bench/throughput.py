"""Tokens per second against ``model.generate`` on the same prompts.

The two sides take turns within one run, because these machines drift: the ratio of each pair is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pagedviz.bench.asked import AskedEngine
from pagedviz.bench.batches import batch_of, blocks_for, prompt_tokens, seconds, serve
from pagedviz.bench.rows import Rows, median_ratio, spread
from pagedviz.trace import record


def throughput(asked: AskedEngine, max_tokens: int, batches: Sequence[int], rounds: int) -> Rows:
    """Generated tokens per second against model.generate on the same prompts.

    The engine is recorded, as it is with a dashboard.

    Args:
        asked: its pool is made as large as the largest batch needs.
        max_tokens: generated per prompt.
        batches: prompts at once, a row each.
        rounds: per batch.
    """
    largest = max(batches)
    engine = asked.make(
        num_device_blocks=blocks_for(largest, max_tokens, asked.options["block_size"]),
        max_num_seqs=largest,
        max_num_batched_tokens=max(512, largest),
        prefix_caching=False,  # the second round would not have to prefill
    )
    prompts = prompt_tokens(engine.tokenizer)
    rows = []
    for size in batches:
        batch = batch_of(prompts, size)
        ours, theirs = [], []

        def compare(new_tokens: int, batch: list[list[int]] = batch) -> tuple[float, float]:
            with record(engine):
                took = seconds(lambda: serve(engine, batch, new_tokens))
            return took, seconds(lambda: _generate(engine.model, batch, new_tokens))

        compare(4)  # compiles what compiles on first use
        for _ in range(rounds):
            ours_s, theirs_s = compare(max_tokens)
            ours.append(size * max_tokens / ours_s)
            theirs.append(size * max_tokens / theirs_s)
        rows.append(
            {"batch": size, "new_tokens": max_tokens}
            | spread("engine_tokens_per_s", ours, 1)
            | spread("generate_tokens_per_s", theirs, 1)
            | {"median_ratio": round(median_ratio(ours, theirs), 2)}
        )
    return rows, True


def _generate(model: Any, batch: Sequence[Sequence[int]], max_tokens: int) -> None:
    """One padded batch: what a user of ``generate`` does with several prompts."""
    import torch

    from pagedviz.bench.peer import generate

    longest = max(map(len, batch))
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in batch], device=model.device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in batch], device=model.device)
    generate(model, ids, mask, max_tokens)
