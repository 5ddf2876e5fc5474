"""The benchmarks of the engine with its model, as rows for ``pagedviz bench``. ``bench`` measures."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from pagedviz.commands.benchmark import Benchmark, Rows, spread
from pagedviz.commands.options import add_engine_arguments, loading, make_engine, whole_number
from pagedviz.commands.output import working


def add_equality_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``equality``. Its dtype is float32, and its pool as large as its prompts need."""
    parser.add_argument("--max-tokens", type=whole_number, default=200, help="tokens to compare per prompt")
    parser.add_argument(
        "--block-sizes",
        type=whole_number,
        nargs="+",
        default=[1, 16, 32],
        help="block sizes to compare, one run each",
    )
    add_engine_arguments(parser, "model", "attention", "device")


def equality(arguments: argparse.Namespace) -> Rows:
    """Whether every greedy token is that of model.generate, in float32.

    Ends with status 1 if one is not.
    """
    import torch

    from pagedviz.bench import equality as measure
    from pagedviz.engine import Engine, EngineConfig
    from pagedviz.models import load
    from pagedviz.models.devices import find_device

    EngineConfig(attention=arguments.attention)  # a bad name is told before a model is loaded for it
    device = find_device(arguments.device)
    with loading():
        model, tokenizer = load(arguments.model, torch.float32)
    model = model.to(device)
    prompts = _prompts(tokenizer)
    slots = sum(len(prompt) + arguments.max_tokens for prompt in prompts) + 32 * len(prompts)

    def engine(block_size: int) -> Engine:
        blocks = -(-slots // block_size)
        return Engine(model, block_size=block_size, num_device_blocks=blocks, attention=arguments.attention)

    rows, passed = [], True
    with working() as status:
        for row in measure(engine, prompts, arguments.max_tokens, arguments.block_sizes, status.update):
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


def add_throughput_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``throughput``. Its pool is as large as its largest batch needs."""
    parser.add_argument("--max-tokens", type=whole_number, default=128, help="tokens to generate per prompt")
    parser.add_argument(
        "--batches", type=whole_number, nargs="+", default=[1, 8, 32], help="prompts at once, one row each"
    )
    parser.add_argument(
        "--rounds", type=whole_number, default=5, help="rounds per batch; p20, p50 and p80 are of these"
    )
    add_engine_arguments(parser, "model", "block_size", "attention", "device", "dtype")


def throughput(arguments: argparse.Namespace) -> Rows:
    """Generated tokens per second against model.generate on the same prompts.

    The engine is recorded, as it is with a dashboard.
    """
    from pagedviz.bench import throughput as measure

    with loading():
        engine = make_engine(
            arguments,
            num_device_blocks=_blocks(arguments, max(arguments.batches)),
            max_num_seqs=max(arguments.batches),
            max_num_batched_tokens=max(512, *arguments.batches),
            prefix_caching=False,  # the second round would not have to prefill
        )
    prompts = _prompts(engine.tokenizer)
    rows = [
        {"batch": row.batch, "new_tokens": arguments.max_tokens}
        | spread("engine_tokens_per_s", row.engine, 1)
        | spread("generate_tokens_per_s", row.generate, 1)
        | {"median_ratio": round(row.ratio, 2)}
        for row in measure(engine, prompts, arguments.max_tokens, arguments.batches, arguments.rounds)
    ]
    return rows, True


def add_recording_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``recording``."""
    parser.add_argument("--max-tokens", type=whole_number, default=128, help="tokens to generate per prompt")
    parser.add_argument("--batch", type=whole_number, default=32, help="prompts at once")
    parser.add_argument(
        "--rounds", type=whole_number, default=5, help="rounds with a recorder, and as many without"
    )
    add_engine_arguments(
        parser,
        "model",
        "block_size",
        "num_device_blocks",
        "num_host_blocks",
        "preemption",
        "attention",
        "device",
        "dtype",
    )


def recording(arguments: argparse.Namespace) -> Rows:
    """Seconds for the same prompts with a recorder (on) and without (off).

    Without a host tier the pool is made large enough for the batch. With one it is what the options say, so that
    a small one swaps.
    """
    from pagedviz.bench import recording as measure

    swaps = arguments.num_host_blocks > 0
    enough = max(arguments.num_device_blocks, _blocks(arguments, arguments.batch))
    with loading():
        engine = make_engine(
            arguments,
            num_device_blocks=arguments.num_device_blocks if swaps else enough,
            max_num_seqs=arguments.batch,
            max_num_batched_tokens=max(512, arguments.batch),
            prefix_caching=False,
        )
    row = measure(engine, _prompts(engine.tokenizer), arguments.max_tokens, arguments.batch, arguments.rounds)
    told = (
        {"batch": row.batch, "new_tokens": arguments.max_tokens}
        | spread("on_seconds", row.on, 3)
        | spread("off_seconds", row.off, 3)
        | {
            "swapped_out_blocks": int(engine.stats()["swapped_out_blocks"]),
            "median_slowdown_percent": round(100 * row.slowdown, 2),
        }
    )
    return [told], True


BENCHMARKS = {
    "equality": Benchmark(add_equality_arguments, equality, "minutes: it runs the model"),
    "throughput": Benchmark(add_throughput_arguments, throughput, "minutes: it runs the model"),
    "recording": Benchmark(add_recording_arguments, recording, "minutes: it runs the model"),
}


def _prompts(tokenizer: Any) -> list[list[int]]:
    from pagedviz.bench import PROMPTS

    return [tokenizer(prompt)["input_ids"] for prompt in PROMPTS]


def _blocks(arguments: argparse.Namespace, batch: int) -> int:
    """Room for the batch without preemption: prompts here have fewer than 128 tokens."""
    blocks: int = batch * -(-(128 + arguments.max_tokens) // max(1, arguments.block_size))
    return blocks
