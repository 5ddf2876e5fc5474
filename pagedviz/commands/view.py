"""Show a trace file: in a terminal it opens the dashboard in the browser and tells memory at a step."""

from __future__ import annotations

import argparse
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pagedviz.commands.options import add_json_argument, load_trace, print_json, show, show_memory
from pagedviz.files import write

if TYPE_CHECKING:
    from pagedviz.trace import State, Trace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("trace", help="a .pvtrace file")
    parser.add_argument("--html", metavar="PATH", help="write the dashboard with the run in it here, as one page")
    parser.add_argument("--no-open", action="store_true", help="do not open the page in the browser")
    parser.add_argument("--text", action="store_true", help="tell memory here, and open nothing")
    parser.add_argument(
        "--step", type=int, help="tell memory after this step (default: the last that leaves blocks in use)"
    )
    parser.add_argument("--svg", metavar="PATH", help="write a picture of memory at that step here")
    parser.add_argument(
        "--sound-part", action="store_true", help="of a damaged file, show what is before the damage"
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Load the trace, print the state, draw the picture, write or open the page."""
    from pagedviz.figures.picture.picture import picture_of
    from pagedviz.trace import last_step_in_use

    trace = load_trace(arguments.trace, sound_part=arguments.sound_part)
    state = trace.state_at(last_step_in_use(trace) if arguments.step is None else arguments.step)
    if arguments.svg:
        write(arguments.svg, picture_of(trace, state).encode(), "picture")
    if arguments.html:
        trace.to_html(arguments.html)
    if arguments.json:
        print_json(msgspec.to_builtins(state, str_keys=True))
        return
    _tell(state, trace, last_in_use=arguments.step is None)
    if arguments.svg:
        show(f"picture: {arguments.svg}")
    if arguments.html:
        show(f"page: {arguments.html}")
    elif _may_open(arguments):
        _open(trace)


def _tell(state: State, trace: Trace, *, last_in_use: bool) -> None:
    from pagedviz.figures.words import letter, place

    show_memory(state, trace, last_in_use=last_in_use)
    for sequence in state.sequences.values():
        table = next(iter(sequence.tables.values()), [])
        entries = " ".join(f"{logical}>{place(entry)}" for logical, entry in enumerate(table)) or "no blocks"
        show(f"sequence {sequence.id} ({letter(sequence.id)}; {sequence.request}, {sequence.status}): {entries}")


def _may_open(arguments: argparse.Namespace) -> bool:
    """Whether a person asked for nothing but a look."""
    asked = arguments.no_open or arguments.text or arguments.svg or arguments.step is not None
    return not asked and _somebody_sits_there()


def _somebody_sits_there() -> bool:
    return sys.stdout.isatty()


def _open(trace: Trace) -> None:
    """Show the page in the browser. It stays on disk: the browser reads it after we are gone."""
    page = Path(tempfile.mkdtemp(prefix="pagedviz-")) / "run.html"
    trace.to_html(page)
    opened = webbrowser.open(page.as_uri())
    show(f"page: {page}{'' if opened else ' (no browser could be opened)'}")
