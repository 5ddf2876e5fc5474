"""Measure: the engine against model.generate, what recording costs, the memory hierarchy, and traces."""

from __future__ import annotations

import argparse
import csv
import inspect
import io
import platform

from pagedviz.commands import bench_memory, bench_model, bench_trace
from pagedviz.commands.options import HelpFormatter, add_json_argument, print_json, version_of
from pagedviz.commands.tables import show_table
from pagedviz.files import check_writable, write

BENCHMARKS = {**bench_model.BENCHMARKS, **bench_memory.BENCHMARKS, **bench_trace.BENCHMARKS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A command per benchmark: each has options of its own, and its docstring is its help."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="benchmark")
    for name, benchmark in BENCHMARKS.items():
        told = inspect.getdoc(benchmark.measure) or ""  # python -OO strips it
        first = told.partition("\n")[0]
        command = commands.add_parser(
            name,
            help=f"{first} Takes {benchmark.takes}.".replace("%", "%%"),
            description=f"{told} Takes {benchmark.takes}, with the options as they are.",
            formatter_class=HelpFormatter,
        )
        benchmark.add_arguments(command)
        command.add_argument("--csv", metavar="PATH", help="also write the rows here, with the versions")
        add_json_argument(command)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print a table; equality ends with status 1 if a token differs."""
    if arguments.csv:
        check_writable(arguments.csv, "CSV")
    rows, passed = BENCHMARKS[arguments.what].measure(arguments)
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
        show_table(rows, BENCHMARKS[arguments.what].heads)
    return 0 if passed else 1
