"""Measure: tokens equal to model.generate, tokens per second, what recording costs, and the memory hierarchy."""

from __future__ import annotations

import argparse
import csv
import platform
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pagedviz.commands import bench_memory
from pagedviz.commands.options import (
    add_engine_arguments,
    add_json_argument,
    make_engine,
    print_json,
    version_of,
)
from pagedviz.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("what", choices=tuple(BENCHMARKS))
    parser.add_argument("--max-tokens", type=int, default=None, help="default: 200 for equality, else 128")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument(
        "--block-sizes", type=int, nargs="+", default=[1, 16, 32], help="for equality, which runs in float32"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--workload",
        default=None,
        help="for waste: sharegpt or alpaca; for policies: chat, templates or scan",
    )
    parser.add_argument("--trace", default=None, help="for policies: a recorded run instead of a workload")
    parser.add_argument("--csv", default=None, help="also write rows with versions and p20/p50/p80 here")
    add_engine_arguments(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print a table; equality ends with status 1 if a token differs."""
    if arguments.rounds < 1 or min(arguments.batches) < 1:
        raise ConfigError("--rounds and --batches must be 1 or more")
    rows, passed = BENCHMARKS[arguments.what](arguments)
    machine = {
        "processor": platform.processor() or platform.machine(),
        **{name: version_of(name) for name in ("pagedviz", "torch", "transformers", "numba")},
    }
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123 - csv wants the file
            writer = csv.DictWriter(file, [*rows[0], *machine])
            writer.writeheader()
            writer.writerows({**row, **machine} for row in rows)
    if arguments.json:
        print_json({"rows": rows, "machine": machine})
    else:
        _print_table(rows)
    return 0 if passed else 1


def _prompts(tokenizer: Any) -> list[list[int]]:
    from pagedviz.bench import PROMPTS

    return [tokenizer(prompt)["input_ids"] for prompt in PROMPTS]


def _equality(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    import torch
    from rich.console import Console

    from pagedviz.bench import equality
    from pagedviz.engine import Engine
    from pagedviz.models import load
    from pagedviz.models.placement import find_device

    model, tokenizer = load(arguments.model, torch.float32)
    model = model.to(find_device(arguments.device))
    prompts = _prompts(tokenizer)
    max_tokens = arguments.max_tokens or 200
    slots = sum(len(prompt) + max_tokens for prompt in prompts) + 32 * len(prompts)

    def engine(block_size: int) -> Engine:
        blocks = -(-slots // block_size)
        return Engine(model, block_size=block_size, num_device_blocks=blocks, attention=arguments.attention)

    rows, passed = [], True
    with Console(stderr=True).status("") as status:
        for row in equality(engine, prompts, max_tokens, arguments.block_sizes, status.update):
            passed = passed and row.equal
            undecided = sum(not found.counts for found in row.disagreements)
            rows.append(
                {
                    "block_size": row.block_size,
                    "run": "batched" if row.batched else "alone",
                    "tokens_compared": row.tokens,
                    "equal": row.equal,
                    "undecided_by_reference": undecided,
                    "differences": [asdict(found) for found in row.disagreements],
                }
            )
    return rows, passed


def _throughput(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    from pagedviz.bench import throughput
    from pagedviz.bench.throughput import percentiles

    max_tokens = arguments.max_tokens or 128
    engine = make_engine(
        arguments,
        num_device_blocks=_blocks(arguments, max_tokens),
        max_num_seqs=max(arguments.batches),
        prefix_caching=False,  # the second round would not have to prefill
    )
    rows = []
    for row in throughput(engine, _prompts(engine.tokenizer), max_tokens, arguments.batches, arguments.rounds):
        ours, theirs = percentiles(row.engine), percentiles(row.generate)
        rows.append(
            {
                "batch": row.batch,
                "new_tokens": max_tokens,
                **{f"engine_tok_s_p{p}": round(v, 1) for p, v in zip((20, 50, 80), ours, strict=True)},
                **{f"generate_tok_s_p{p}": round(v, 1) for p, v in zip((20, 50, 80), theirs, strict=True)},
                "median_ratio": round(row.ratio, 2),
            }
        )
    return rows, True


def _recording(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    from pagedviz.bench import recording
    from pagedviz.bench.throughput import percentiles

    max_tokens, batch = arguments.max_tokens or 128, max(arguments.batches)
    # With a host tier the pool is left as small as it was asked for: then the run swaps.
    swaps = arguments.num_host_blocks > 0
    blocks = arguments.num_device_blocks if swaps else _blocks(arguments, max_tokens)
    engine = make_engine(arguments, num_device_blocks=blocks, max_num_seqs=batch, prefix_caching=False)
    row = recording(engine, _prompts(engine.tokenizer), max_tokens, batch, arguments.rounds)
    on, off = percentiles(row.on), percentiles(row.off)
    return [
        {
            "batch": batch,
            "new_tokens": max_tokens,
            **{f"on_s_p{p}": round(v, 3) for p, v in zip((20, 50, 80), on, strict=True)},
            **{f"off_s_p{p}": round(v, 3) for p, v in zip((20, 50, 80), off, strict=True)},
            "swapped_out_blocks": int(engine.stats()["swapped_out_blocks"]),
            "median_slowdown_percent": round(100 * row.slowdown, 2),
        }
    ], True


BENCHMARKS: dict[str, Callable[[argparse.Namespace], bench_memory.Rows]] = {
    "equality": _equality,
    "throughput": _throughput,
    "recording": _recording,
    "blocks": bench_memory.blocks,
    "prefix": bench_memory.prefix,
    "swap": bench_memory.swap,
    "waste": bench_memory.waste,
    "policies": bench_memory.policies,
}


def _blocks(arguments: argparse.Namespace, max_tokens: int) -> int:
    """Room for the largest batch without preemption: prompts here have fewer than 128 tokens."""
    each = -(-(128 + max_tokens) // arguments.block_size)
    blocks: int = max(arguments.num_device_blocks, each * max(arguments.batches))
    return blocks


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
