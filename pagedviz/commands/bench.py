"""Measure: the engine against model.generate, what recording costs, the memory hierarchy, and traces."""

from __future__ import annotations

import argparse
import csv
import inspect
import platform
from typing import Any

from pagedviz.commands import bench_memory, bench_model, bench_trace
from pagedviz.commands.options import HelpFormatter, add_json_argument, check_writable, print_json, version_of

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
    check_writable(arguments.csv, "CSV")
    rows, passed = BENCHMARKS[arguments.what].measure(arguments)
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


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
