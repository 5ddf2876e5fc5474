"""The benchmark of traces, as rows for ``pagedviz bench``. ``lab`` measures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pagedviz.commands.benchmark import Benchmark, Rows, percentiles
from pagedviz.commands.options import whole_number


def add_trace_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``trace``."""
    parser.add_argument("--events", type=whole_number, default=1_000_000, help="events in the run, at least")
    parser.add_argument("--rounds", type=whole_number, default=5, help="rounds; p20, p50 and p80 are of these")


def trace(arguments: argparse.Namespace) -> Rows:
    """Events recorded, encoded, decoded and reduced per second of processor time; bytes; jumps to a step. No model.

    Of a long run that a real block manager makes. Decoding, which keeps the events, is compared with json.loads on
    the same lines, which checks nothing and keeps nothing. The p20, p50, p80 and max of jumps are over 20 random
    steps, when the run was passed once.
    """
    from pagedviz.lab.trace_speed import trace_speed

    found = trace_speed(arguments.events, arguments.rounds)
    rows = [
        _row(name, "events/s", rates)
        for name, rates in {
            "record": found.record,
            "encode": found.encode,
            "decode": found.decode,
            "json.loads": found.loads,
            "reduce": found.reduce,
        }.items()
    ]
    rows += [
        _row("plain", "bytes/event", [found.plain / found.events]),
        _row("packed", "bytes/event", [found.packed / found.events]),
        _row("state_at", "ms", found.jump_ms),
    ]
    return [{"events": found.events, **row} for row in rows], True


def _row(what: str, unit: str, values: Sequence[float]) -> dict[str, Any]:
    p20, p50, p80, most = (
        round(value, None if value >= 1000 else 2) for value in (*percentiles(values), max(values))
    )
    return {"what": what, "unit": unit, "p20": p20, "p50": p50, "p80": p80, "max": most}


BENCHMARKS = {"trace": Benchmark(add_trace_arguments, trace, "about half a minute")}
