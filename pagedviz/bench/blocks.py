"""How fast a block manager hands blocks out, finds them and takes them back, in pools of several sizes."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from pagedviz.bench.rows import Rows
from pagedviz.memory import BlockManager, Swapper
from pagedviz.memory.eviction import make_policy

TAKEN = 64
"""Blocks that one sequence takes at a time."""
POOLS = (1_000, 10_000, 100_000, 1_000_000)


def blocks(eviction: str, rounds: int) -> Rows:
    """Blocks that a block manager hands out and takes back per second of processor time. No model.

    In pools of 1,000 to 1,000,000 blocks: plain; found by content (hits); and a whole life from eviction to cache.

    Args:
        eviction: which cached block goes first.
        rounds: per pool; rows have their median.
    """
    make_policy(eviction, POOLS[0])
    rows = []
    for num_blocks in POOLS:
        count = max(1, min(100_000, num_blocks) // TAKEN)
        rates = [_round(num_blocks, count, eviction) for _ in range(rounds)]
        rows.append(
            {"num_blocks": num_blocks}
            | {f"{name}_blocks_per_s": round(median(rate[name] for rate in rates)) for name in rates[0]}
        )
    return rows, True


def _round(num_blocks: int, count: int, eviction: str) -> dict[str, float]:
    """Blocks per second, with a prefix cache, without model and listeners.

    ``plain``: taken and given back, beside a cache that fills half of the pool. ``hits``: found by content, owned
    and let go again. ``whole_life``: taken by evicting another one, filled and named, let go and cached, each with
    new content.
    """
    manager = BlockManager(num_blocks, 16, caching=True, eviction=eviction)
    swapper = Swapper(manager)
    slots = TAKEN * 16

    def tokens(number: int) -> list[int]:
        return [number, *range(1, slots)]

    def live(sequence: int, *, named: bool) -> None:
        swapper.make_room(TAKEN)
        manager.begin()
        manager.write(sequence, 0, slots, "prefill")
        if named:
            manager.fill(sequence, tokens(sequence), slots)
        manager.release(sequence)

    half = num_blocks // TAKEN // 2
    for sequence in range(half):
        live(sequence, named=True)
    plain = _rate(count, lambda number: live(number, named=False))

    def hit(number: int) -> None:
        prefix = manager.finder.find(-1, [*tokens(number % half), 0])
        manager.attach(-1, prefix, prefix.on_device)
        manager.release(-1)

    hits = _rate(count, hit)
    for sequence in range(half, 2 * half + 1):
        live(sequence, named=True)
    whole_life = _rate(count, lambda number: live(3 * half + number, named=True))
    return {"plain": plain, "hits": hits, "whole_life": whole_life}


def _rate(count: int, work: Callable[[int], None]) -> float:
    began = time.process_time()
    for number in range(count):
        work(number)
    return count * TAKEN / (time.process_time() - began)
