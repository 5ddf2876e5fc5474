"""How fast blocks cross between the tiers, against a plain copy of as many bytes in the same run."""

from __future__ import annotations

import random
import time

from pagedviz.bench.asked import AskedEngine
from pagedviz.bench.rows import Rows, median_ratio, spread

TOKENS = 1024
BLOCK_SIZES = (1, 4, 16, 32, 64)


def swap(asked: AskedEngine, rounds: int) -> Rows:
    """Gigabytes per second between the tiers, against a plain copy of as many bytes.

    For 1,024 tokens in blocks of 1, 4, 16, 32 and 64 slots.

    Args:
        asked: the engine whose layers and kernels are taken; the pools are made here.
        rounds: copies per block size, each way in turn, in blocks scattered over the pools.
    """
    import torch

    from pagedviz.attention import KVCache, select_transfer

    runner = asked.make()._core.runner  # noqa: SLF001 - its kernels are what is measured
    lanes, _, _, heads, dim = runner.cache.keys.shape
    dtype, where = runner.cache.keys.dtype, runner.device
    rows = []
    for size in BLOCK_SIZES:
        count = -(-TOKENS // size)
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
            swaps.append(crossing.num_bytes / 1000 / max(1, crossing.duration_us))
            began = time.perf_counter()
            target[(number + 1) % turns].copy_(source[number % turns])
            plain.append(num_bytes / 1e9 / (time.perf_counter() - began))
        swaps, plain = swaps[1:], plain[1:]
        rows.append(
            {"block_size": size, "mib": round(num_bytes / 2**20, 1)}
            | spread("swap_gb_per_s", swaps, 2)
            | spread("memcpy_gb_per_s", plain, 2)
            | {"median_share": round(median_ratio(swaps, plain), 2)}
        )
    return rows, True
