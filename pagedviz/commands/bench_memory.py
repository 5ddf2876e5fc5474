"""The benchmarks of the memory hierarchy, as rows for ``pagedviz bench``. ``bench`` and ``lab`` measure."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from pagedviz.commands.benchmark import Benchmark, Rows, spread
from pagedviz.commands.options import (
    ENGINE_OPTIONS,
    add_engine_arguments,
    load_trace,
    loading,
    make_engine,
    whole_number,
)
from pagedviz.commands.output import working
from pagedviz.errors import ConfigError
from pagedviz.lab import PREFIX_WORKLOADS, WORKLOADS


def add_blocks_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``blocks``."""
    parser.add_argument("--rounds", type=whole_number, default=5, help="rounds per pool; their median is told")
    add_engine_arguments(parser, "eviction")


def blocks(arguments: argparse.Namespace) -> Rows:
    """Blocks that a block manager hands out and takes back per second of processor time. No model.

    In pools of 1,000 to 1,000,000 blocks: plain; found by content (hits); and a whole life from eviction to cache.
    """
    from pagedviz.bench.hierarchy import blocks as measure
    from pagedviz.memory.eviction import make_policy

    sizes = (1_000, 10_000, 100_000, 1_000_000)
    make_policy(arguments.eviction, sizes[0])
    rows = [
        {"num_blocks": row.num_blocks}
        | {f"{name}_blocks_per_s": round(getattr(row, name)) for name in ("plain", "hits", "whole_life")}
        for row in measure(sizes, arguments.rounds, arguments.eviction)
    ]
    return rows, True


def add_prefix_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``prefix``."""
    parser.add_argument("--rounds", type=whole_number, default=5, help="rounds with a hit, and as many without")
    add_engine_arguments(parser, "model", "block_size", "num_device_blocks", "attention", "device", "dtype")


def prefix(arguments: argparse.Namespace) -> Rows:
    """Milliseconds to the first token with a hit in the prefix cache (warm) and without (cold).

    1,000 of the prompt's tokens are shared. Ends with status 1 if the hit saved other than their full blocks.
    """
    from pagedviz.bench.hierarchy import prefix as measure

    with loading():
        engine = make_engine(arguments, max_num_batched_tokens=1024)
    row = measure(engine, 1000, 24, arguments.rounds)
    found = row.shared_tokens // engine.config.block_size * engine.config.block_size
    told = {
        "prompt_tokens": row.prompt_tokens,
        "shared_tokens": row.shared_tokens,
        "prefill_tokens_saved": row.saved_tokens,
        "tokens_in_full_shared_blocks": found,
        **spread("cold_ms", [1000 * seconds for seconds in row.cold_s], 1),
        **spread("warm_ms", [1000 * seconds for seconds in row.warm_s], 1),
        "median_speedup": round(row.speedup, 2),
    }
    return [told], row.saved_tokens == found


def add_swap_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``swap``. It makes pools of its own."""
    parser.add_argument("--rounds", type=whole_number, default=20, help="copies per block size, each way in turn")
    add_engine_arguments(parser, "model", "attention", "device", "dtype")


def swap(arguments: argparse.Namespace) -> Rows:
    """Gigabytes per second between the tiers, against a plain copy of as many bytes.

    For 1,024 tokens in blocks of 1, 4, 16, 32 and 64 slots.
    """
    from pagedviz.bench.hierarchy import swap as measure

    with loading():
        engine = make_engine(arguments)
    rows = [
        {"block_size": row.block_size, "mib": round(row.num_bytes / 2**20, 1)}
        | spread("swap_gb_per_s", [speed / 1e9 for speed in row.swap], 2)
        | spread("memcpy_gb_per_s", [speed / 1e9 for speed in row.memcpy], 2)
        | {"median_share": round(row.share, 2)}
        for row in measure(engine, 1024, (1, 4, 16, 32, 64), arguments.rounds)
    ]
    return rows, True


def add_waste_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``waste``."""
    parser.add_argument("--workload", choices=tuple(WORKLOADS), default="sharegpt", help="lengths of requests")


def waste(arguments: argparse.Namespace) -> Rows:
    """Where the memory of every rival allocator goes, in % of its slots, beside the paper's figure 2. No model."""
    from pagedviz.lab import waste_table

    with working() as status:
        rows = [asdict(row) for row in waste_table(arguments.workload, on_progress=status.update)]
    rounded = [{k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    return rounded, True


def add_policies_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``policies``. A trace has its own requests and its own block size."""
    parser.add_argument(
        "--workload", choices=tuple(PREFIX_WORKLOADS), help="requests that are drawn (default: each in turn)"
    )
    parser.add_argument("--trace", metavar="PATH", help="the requests of a recorded run instead of drawn ones")
    usual = ENGINE_OPTIONS["block_size"]["default"]
    parser.add_argument("--block-size", type=int, help=f"token slots per block (default: {usual}, or the trace's)")


def policies(arguments: argparse.Namespace) -> Rows:
    """Share of the prompt tokens that every eviction policy finds in device tiers of several sizes. No model."""
    from pagedviz.lab import compare, groups_of, longest_step, pool_sizes, recorded_requests

    if arguments.trace:
        for option in ("workload", "block_size"):
            if getattr(arguments, option) is not None:
                name = option.replace("_", "-")
                raise ConfigError(f"--{name} does not go with --trace, which has requests and a block size")
        trace = load_trace(arguments.trace)
        options: dict[str, Any] = {
            "block_size": trace.info.block_size,
            "num_groups": groups_of(trace),
            "max_num_batched_tokens": longest_step(trace),
        }
        served = {arguments.trace: recorded_requests(trace)}
    else:
        names = [arguments.workload] if arguments.workload else list(PREFIX_WORKLOADS)
        size = arguments.block_size
        options = {"block_size": ENGINE_OPTIONS["block_size"]["default"] if size is None else size}
        served = {name: PREFIX_WORKLOADS[name].requests(1000) for name in names}
    rows: list[dict[str, Any]] = []
    with working() as status:
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


WASTE_HEADS = {part: f"{part} [%]" for part in ("used", "reserved", "internal", "external", "free")} | {
    "held": "requests held",
    "paper_used": "used in the paper [%]",
    "paper_held": "held in the paper",
}

BENCHMARKS = {
    "blocks": Benchmark(add_blocks_arguments, blocks, "about a minute"),
    "prefix": Benchmark(add_prefix_arguments, prefix, "minutes: it runs the model"),
    "swap": Benchmark(add_swap_arguments, swap, "about a minute", {"mib": "copied [MiB]"}),
    "waste": Benchmark(add_waste_arguments, waste, "about a minute", WASTE_HEADS),
    "policies": Benchmark(add_policies_arguments, policies, "about two minutes", {"hit_rate": "hit rate [0 to 1]"}),
}
