"""What a recorder costs: the same prompts with one on the engine, and without."""

from __future__ import annotations

from pagedviz.bench.asked import AskedEngine
from pagedviz.bench.batches import batch_of, blocks_for, prompt_tokens, seconds, serve
from pagedviz.bench.rows import Rows, median_ratio, spread
from pagedviz.trace import record


def recording(asked: AskedEngine, max_tokens: int, batch: int, rounds: int) -> Rows:
    """Seconds for the same prompts with a recorder (on) and without (off).

    Without a host tier the pool is made large enough for the batch. With one it is what the options say, so that
    a small one swaps.

    Args:
        asked: the engine.
        max_tokens: generated per prompt.
        batch: prompts at once.
        rounds: pairs of runs; the order within a pair alternates.
    """
    told = asked.options["num_device_blocks"]
    enough = max(told, blocks_for(batch, max_tokens, asked.options["block_size"]))
    engine = asked.make(
        num_device_blocks=told if asked.options["num_host_blocks"] > 0 else enough,
        max_num_seqs=batch,
        max_num_batched_tokens=max(512, batch),
        prefix_caching=False,
    )
    prompts = batch_of(prompt_tokens(engine.tokenizer), batch)
    serve(engine, prompts, 4)  # compiles what compiles on first use
    on: list[float] = []
    off: list[float] = []

    def with_recorder() -> None:
        with record(engine):
            on.append(seconds(lambda: serve(engine, prompts, max_tokens)))

    def without() -> None:
        off.append(seconds(lambda: serve(engine, prompts, max_tokens)))

    for number in range(rounds):
        for side in (with_recorder, without) if number % 2 else (without, with_recorder):
            side()
    row = (
        {"batch": batch, "new_tokens": max_tokens}
        | spread("on_seconds", on, 3)
        | spread("off_seconds", off, 3)
        | {
            "swapped_out_blocks": int(engine.stats()["swapped_out_blocks"]),
            "median_slowdown_percent": round(100 * (median_ratio(on, off) - 1), 2),
        }
    )
    return [row], True
