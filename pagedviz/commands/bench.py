"""Measure: the engine against model.generate, what recording costs, the memory hierarchy, and traces."""

from __future__ import annotations

import argparse
import csv
import inspect
import io
import platform
from collections.abc import Callable
from typing import Any, NamedTuple

from pagedviz.bench.asked import AskedEngine
from pagedviz.bench.blocks import blocks
from pagedviz.bench.equality import equality
from pagedviz.bench.policies import BLOCK_SIZE, policies
from pagedviz.bench.prefix import prefix
from pagedviz.bench.recording import recording
from pagedviz.bench.rows import Rows
from pagedviz.bench.swap import swap
from pagedviz.bench.throughput import throughput
from pagedviz.bench.trace import trace
from pagedviz.bench.waste import waste
from pagedviz.commands.options import (
    LOADING,
    HelpFormatter,
    add_engine_arguments,
    add_json_argument,
    load_trace,
    loading,
    print_json,
    version_of,
    whole_number,
)
from pagedviz.commands.output import working
from pagedviz.commands.tables import show_table
from pagedviz.files import check_writable, write
from pagedviz.lab import PREFIX_WORKLOADS, WORKLOADS


class Benchmark(NamedTuple):
    """A benchmark as a command.

    Attributes:
        measure: called with a value for every option; the first paragraphs of its docstring are the help.
        takes: how long.
        options: its own, by the names that ``measure`` has for them.
        shared: options of the engine that ``measure`` takes by their names.
        engine: options of the engine that ``measure`` makes: it is called with an ``AskedEngine`` of these.
        note: for one that says what it is doing, what comes first. Whoever measures time says nothing meanwhile.
        heads: titles of columns whose names do not say their unit.
    """

    measure: Callable[..., Rows]
    takes: str
    options: dict[str, dict[str, Any]]
    shared: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()
    note: str | None = None
    heads: dict[str, str] | None = None


def count(default: int, told: str) -> dict[str, Any]:
    """An option that is a whole number."""
    return {"type": whole_number, "default": default, "help": told}


def counts(default: list[int], told: str) -> dict[str, Any]:
    """An option that is one or more whole numbers."""
    return {"type": whole_number, "nargs": "+", "default": default, "help": told}


RUNS_MODEL = "minutes: it runs the model"
WASTE_HEADS = {part: f"{part} [%]" for part in ("used", "reserved", "internal", "external", "free")} | {
    "held": "requests held",
    "paper_used": "used in the paper [%]",
    "paper_held": "held in the paper",
}

BENCHMARKS = {
    "equality": Benchmark(
        equality,
        RUNS_MODEL,
        {
            "max_tokens": count(200, "tokens to compare per prompt"),
            "block_sizes": counts([1, 16, 32], "block sizes to compare, one run each"),
        },
        shared=("model", "attention", "device"),
        note=LOADING,
    ),
    "throughput": Benchmark(
        throughput,
        RUNS_MODEL,
        {
            "max_tokens": count(128, "tokens to generate per prompt"),
            "batches": counts([1, 8, 32], "prompts at once, one row each"),
            "rounds": count(5, "rounds per batch; p20, p50 and p80 are of these"),
        },
        engine=("model", "block_size", "attention", "device", "dtype"),
    ),
    "recording": Benchmark(
        recording,
        RUNS_MODEL,
        {
            "max_tokens": count(128, "tokens to generate per prompt"),
            "batch": count(32, "prompts at once"),
            "rounds": count(5, "rounds with a recorder, and as many without"),
        },
        engine=(
            "model",
            "block_size",
            "num_device_blocks",
            "num_host_blocks",
            "preemption",
            "attention",
            "device",
            "dtype",
        ),
    ),
    "blocks": Benchmark(
        blocks,
        "about a minute",
        {"rounds": count(5, "rounds per pool; their median is told")},
        shared=("eviction",),
    ),
    "prefix": Benchmark(
        prefix,
        RUNS_MODEL,
        {"rounds": count(5, "rounds with a hit, and as many without")},
        engine=("model", "block_size", "num_device_blocks", "attention", "device", "dtype"),
    ),
    "swap": Benchmark(
        swap,
        "about a minute",
        {"rounds": count(20, "copies per block size, each way in turn")},
        engine=("model", "attention", "device", "dtype"),
        heads={"mib": "copied [MiB]"},
    ),
    "waste": Benchmark(
        waste,
        "about a minute",
        {"workload": {"choices": tuple(WORKLOADS), "default": "sharegpt", "help": "lengths of requests"}},
        note="",
        heads=WASTE_HEADS,
    ),
    "policies": Benchmark(
        policies,
        "about two minutes",
        {
            "workload": {
                "choices": tuple(PREFIX_WORKLOADS),
                "help": "requests that are drawn (default: each in turn)",
            },
            "trace": {"metavar": "PATH", "help": "the requests of a recorded run instead of drawn ones"},
            "block_size": {
                "type": int,
                "help": f"token slots per block (default: {BLOCK_SIZE}, or the trace's)",
            },
        },
        note="",
        heads={"hit_rate": "hit rate [0 to 1]"},
    ),
    "trace": Benchmark(
        trace,
        "about half a minute",
        {
            "events": count(1_000_000, "events in the run, at least"),
            "rounds": count(5, "rounds; p20, p50 and p80 are of these"),
        },
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A command per benchmark: each has options of its own."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="benchmark")
    for name, benchmark in BENCHMARKS.items():
        told = (inspect.getdoc(benchmark.measure) or "").partition("\n\nArgs:")[0]  # python -OO strips it
        first = told.partition("\n")[0]
        command = commands.add_parser(
            name,
            help=f"{first} Takes {benchmark.takes}.".replace("%", "%%"),
            description=f"{told} Takes {benchmark.takes}, with the options as they are.",
            formatter_class=HelpFormatter,
        )
        for option, said in benchmark.options.items():
            command.add_argument(f"--{option.replace('_', '-')}", **said)
        if engine := benchmark.shared + benchmark.engine:
            add_engine_arguments(command, *engine)
        command.add_argument("--csv", metavar="PATH", help="also write the rows here, with the versions")
        add_json_argument(command)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print a table; equality ends with status 1 if a token differs."""
    if arguments.csv:
        check_writable(arguments.csv, "CSV")
    benchmark = BENCHMARKS[arguments.what]
    rows, passed = _measured(benchmark, arguments)
    machine = {
        "processor": platform.processor() or platform.machine(),
        **{name: version_of(name) for name in ("pagedviz", "torch", "transformers", "numba")},
    }
    if arguments.csv:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [*rows[0], *machine])
        writer.writeheader()
        writer.writerows({**row, **machine} for row in rows)
        write(arguments.csv, text.getvalue().encode(), "CSV")
    if arguments.json:
        print_json({"rows": rows, "machine": machine})
    else:
        show_table(rows, benchmark.heads)
    return 0 if passed else 1


def _measured(benchmark: Benchmark, arguments: argparse.Namespace) -> Rows:
    asked = {name: getattr(arguments, name) for name in (*benchmark.options, *benchmark.shared)}
    if "trace" in asked:
        asked["load_trace"] = load_trace
    if benchmark.engine:
        options = {name: getattr(arguments, name) for name in benchmark.engine}
        asked["asked"] = AskedEngine(options.pop("model"), options, loading)
    if benchmark.note is None:
        return benchmark.measure(**asked)
    with working(benchmark.note) as status:
        return benchmark.measure(**asked, on_progress=status.update)
