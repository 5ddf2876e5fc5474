"""What the memory hierarchy costs and saves: blocks handed out, prompts found, copies between the tiers.

Each is compared with its limit or its alternative in the same run: pools of other sizes, the same prompt without
a cache, a plain copy of as many bytes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from pagedviz.attention import KVCache, select_transfer
from pagedviz.engine import Engine
from pagedviz.memory import BlockManager, Swapper

BLOCKS = 64
"""Blocks that one sequence takes at a time when block managers are measured."""


@dataclass(frozen=True)
class BlocksRow:
    """Blocks per second of processor time, medians over rounds.

    Attributes:
        plain: taken and given back, beside a cache that fills half of the pool.
        hits: found by content, owned and let go again.
        whole_life: taken by evicting another one, filled and named, let go and cached: with new content each.
    """

    num_blocks: int
    plain: float
    hits: float
    whole_life: float


def blocks(sizes: Sequence[int], rounds: int, eviction: str = "lru") -> Iterator[BlocksRow]:
    """Measure block managers of several sizes with a prefix cache, without model and listeners."""
    for num_blocks in sizes:
        count = max(1, min(100_000, num_blocks) // BLOCKS)
        rates = [_round(num_blocks, count, eviction) for _ in range(rounds)]
        yield BlocksRow(num_blocks, *(median(rate) for rate in zip(*rates, strict=True)))


def _round(num_blocks: int, count: int, eviction: str) -> tuple[float, float, float]:
    manager = BlockManager(num_blocks, 16, caching=True, eviction=eviction)
    swapper = Swapper(manager)
    slots = BLOCKS * 16

    def tokens(number: int) -> list[int]:
        return [number, *range(1, slots)]

    def live(sequence: int, *, named: bool) -> None:
        swapper.make_room(BLOCKS)
        manager.begin()
        manager.write(sequence, 0, slots, "prefill")
        if named:
            manager.fill(sequence, tokens(sequence), slots)
        manager.release(sequence)

    half = num_blocks // BLOCKS // 2
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
    whole = _rate(count, lambda number: live(3 * half + number, named=True))
    return plain, hits, whole


def _rate(count: int, work: Any) -> float:
    began = time.process_time()
    for number in range(count):
        work(number)
    return count * BLOCKS / (time.process_time() - began)


@dataclass(frozen=True)
class PrefixRow:
    """A prompt that begins as an earlier one did, with the cache and after it was reset.

    Attributes:
        prompt_tokens, shared_tokens: of the prompt, and of these how many it shares.
        saved_tokens: prefill tokens that the hit saved, as counted.
        cold_s, warm_s: seconds to the first token, one value per round.
    """

    prompt_tokens: int
    shared_tokens: int
    saved_tokens: int
    cold_s: tuple[float, ...]
    warm_s: tuple[float, ...]

    @property
    def speedup(self) -> float:
        """Median over rounds of cold / warm."""
        return median(a / b for a, b in zip(self.cold_s, self.warm_s, strict=True))


def prefix(engine: Engine, shared: int, own: int, rounds: int) -> PrefixRow:
    """Time to first token of ``shared + own`` tokens, of which the first ``shared`` are cached or not."""
    head = [2 + (7919 * i) % 20_000 for i in range(shared)]
    cold, warm, saved = [], [], 0
    for number in range(rounds + 1):  # the first round compiles what compiles on first use
        engine.reset_prefix_cache()
        first, second = ([*head, *(100 + 1000 * number + part + i for i in range(own))] for part in (0, 500))
        cold.append(_first_token(engine, first))
        before = engine.stats()["prefix_cache_hits"]
        warm.append(_first_token(engine, second))
        saved = int(engine.stats()["prefix_cache_hits"] - before)
    return PrefixRow(shared + own, shared, saved, tuple(cold[1:]), tuple(warm[1:]))


def _first_token(engine: Engine, prompt: list[int]) -> float:
    began = time.perf_counter()
    engine.generate(prompt, max_tokens=1, temperature=0.0)
    return time.perf_counter() - began


@dataclass(frozen=True)
class SwapRow:
    """Bytes per second, one value per round: blocks between the tiers, and a plain copy of as many bytes."""

    block_size: int
    num_bytes: int
    swap: tuple[float, ...]
    memcpy: tuple[float, ...]

    @property
    def share(self) -> float:
        """Median over rounds of swap / memcpy."""
        return median(a / b for a, b in zip(self.swap, self.memcpy, strict=True))


def swap(engine: Engine, tokens: int, block_sizes: Sequence[int], rounds: int) -> Iterator[SwapRow]:
    """Copy a sequence of ``tokens`` tokens out and in, in blocks scattered over pools as the engine has."""
    runner = engine._core.runner  # noqa: SLF001 - its kernels are what is measured
    lanes, _, _, heads, dim = runner.cache.keys.shape
    dtype, where = runner.cache.keys.dtype, runner.device
    for size in block_sizes:
        count = -(-tokens // size)
        pool = 4 * count
        device = KVCache((lanes, pool, size, heads, dim), dtype, where)
        host = KVCache((lanes, pool, size, heads, dim), dtype, torch.device("cpu"), pinned=where.type == "cuda")
        transfer = select_transfer(runner.kernels, device, host)
        num_bytes = device.bytes_per_block * count
        # As much memory as the pools have, taken in turn, so that neither side has its bytes in a cache.
        turns = pool // count
        source = torch.ones(turns, num_bytes, dtype=torch.uint8, device=where)
        target = torch.ones(turns, num_bytes, dtype=torch.uint8, pin_memory=where.type == "cuda")
        swaps, plain = [], []
        for number in range(rounds + 1):
            pairs = list(zip(random.sample(range(pool), count), random.sample(range(pool), count), strict=True))
            crossing = transfer.run("in" if number % 2 else "out", pairs)
            transfer.settle()
            swaps.append(crossing.num_bytes * 1e6 / max(1, crossing.duration_us))
            began = time.perf_counter()
            target[(number + 1) % turns].copy_(source[number % turns])
            plain.append(num_bytes / (time.perf_counter() - began))
        yield SwapRow(size, num_bytes, tuple(swaps[1:]), tuple(plain[1:]))
