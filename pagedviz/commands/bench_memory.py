"""The benchmarks of the memory hierarchy, as rows for ``pagedviz bench``. ``bench`` and ``lab`` measure."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from pagedviz.commands.options import make_engine

Rows = tuple[list[dict[str, Any]], bool]


def blocks(arguments: argparse.Namespace) -> Rows:
    """Blocks that a block manager hands out and takes back per second, by the size of its pool."""
    from pagedviz.bench.hierarchy import blocks as measure

    sizes = (1_000, 10_000, 100_000, 1_000_000)
    rows = [
        {"num_blocks": row.num_blocks}
        | {f"{name}_blocks_s": round(getattr(row, name)) for name in ("plain", "hits", "whole_life")}
        for row in measure(sizes, arguments.rounds, arguments.eviction)
    ]
    return rows, True


def prefix(arguments: argparse.Namespace) -> Rows:
    """Time to first token with and without a hit on a shared prompt of 1,000 tokens."""
    from pagedviz.bench.hierarchy import prefix as measure
    from pagedviz.bench.throughput import percentiles

    engine = make_engine(arguments, max_num_batched_tokens=1024)
    row = measure(engine, 1000, 24, arguments.rounds)
    cold, warm = percentiles(row.cold_s), percentiles(row.warm_s)
    found = row.shared_tokens // engine.config.block_size * engine.config.block_size
    told = {
        "prompt_tokens": row.prompt_tokens,
        "shared_tokens": row.shared_tokens,
        "prefill_tokens_saved": row.saved_tokens,
        "tokens_in_full_shared_blocks": found,
        **{f"cold_ms_p{p}": round(1000 * v, 1) for p, v in zip((20, 50, 80), cold, strict=True)},
        **{f"warm_ms_p{p}": round(1000 * v, 1) for p, v in zip((20, 50, 80), warm, strict=True)},
        "median_speedup": round(row.speedup, 2),
    }
    return [told], row.saved_tokens == found


def swap(arguments: argparse.Namespace) -> Rows:
    """Speed of copies between the tiers against a plain copy of as many bytes, by block size."""
    from pagedviz.bench.hierarchy import swap as measure
    from pagedviz.bench.throughput import percentiles

    engine = make_engine(arguments)
    rows = []
    for row in measure(engine, 1024, (1, 4, 16, 32, 64), max(20, arguments.rounds)):
        ours, theirs = percentiles(row.swap), percentiles(row.memcpy)
        rows.append(
            {
                "block_size": row.block_size,
                "mib": round(row.num_bytes / 2**20, 1),
                **{f"swap_gb_s_p{p}": round(v / 1e9, 2) for p, v in zip((20, 50, 80), ours, strict=True)},
                **{f"memcpy_gb_s_p{p}": round(v / 1e9, 2) for p, v in zip((20, 50, 80), theirs, strict=True)},
                "median_share": round(row.share, 2),
            }
        )
    return rows, True


def waste(arguments: argparse.Namespace) -> Rows:
    """Where the memory of every rival allocator goes, in % of its slots, beside the paper's figure 2."""
    from rich.console import Console

    from pagedviz.lab import waste_table

    with Console(stderr=True).status("") as status:
        rows = [asdict(row) for row in waste_table(arguments.workload or "sharegpt", on_progress=status.update)]
    rounded = [{k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    return rounded, True


def policies(arguments: argparse.Namespace) -> Rows:
    """Prompt tokens that every eviction policy finds in device tiers of several sizes, without a model."""
    from rich.console import Console

    from pagedviz.errors import ConfigError
    from pagedviz.lab import PREFIX_WORKLOADS, compare, longest_step, pool_sizes, recorded_requests
    from pagedviz.trace import Trace

    options: dict[str, Any] = {"block_size": arguments.block_size}
    if arguments.trace:
        trace = Trace.load(arguments.trace)
        options = {
            "block_size": trace.info.block_size,
            "num_groups": len(trace.info.groups),
            "max_num_batched_tokens": longest_step(trace),
        }
        served = {arguments.trace: recorded_requests(trace)}
    else:
        names = [arguments.workload] if arguments.workload else list(PREFIX_WORKLOADS)
        if not set(names) <= set(PREFIX_WORKLOADS):
            raise ConfigError(f"no workload {arguments.workload!r} for policies; {', '.join(PREFIX_WORKLOADS)}")
        served = {name: PREFIX_WORKLOADS[name].requests(1000) for name in names}
    rows: list[dict[str, Any]] = []
    with Console(stderr=True).status("") as status:
        for name, requests in served.items():
            sizes = [size * options.get("num_groups", 1) for size in pool_sizes(requests, options["block_size"])]
            found = compare(requests, sizes, on_progress=status.update, **options)
            rows += [
                {
                    "workload": name,
                    "policy": row.policy,
                    "num_blocks": row.num_blocks,
                    "hit_rate": round(row.hit_rate, 4),
                    "evictions": row.evictions,
                }
                for row in found
            ]
    return rows, True
