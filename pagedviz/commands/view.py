"""Show a trace file: memory at a step, and with --svg a picture of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from pagedviz.commands.options import add_json_argument, print_json, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("trace", help="a .pvtrace file")
    parser.add_argument("--step", type=int, default=None, help="the step to show; default: the last")
    parser.add_argument("--svg", default=None, help="write a picture of memory at that step here")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Load the trace, print the state, draw the picture."""
    from pagedviz.figures import memory_summary, picture
    from pagedviz.trace import Trace, memory_history

    trace = Trace.load(arguments.trace)
    state = trace.state_at(trace.last_step if arguments.step is None else arguments.step)
    if arguments.svg:
        Path(arguments.svg).write_text(picture(state, trace.info, memory_history(trace)), encoding="utf-8")
    if arguments.json:
        print_json(msgspec.to_builtins(state, str_keys=True))
        return
    show(memory_summary(state, trace.info))
    for sequence in state.sequences.values():
        table = next(iter(sequence.tables.values()), [])
        entries = " ".join(f"{logical}>{block}" for logical, (_, block) in enumerate(table)) or "no blocks"
        show(f"sequence {sequence.id} ({sequence.request}, {sequence.status}): {entries}")
    if arguments.svg:
        show(f"picture: {arguments.svg}")
