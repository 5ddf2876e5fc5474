"""Options that several commands share, the engine they describe, and how a command speaks."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pagedviz.attention.backends import BACKENDS
from pagedviz.commands.output import console, knows_unicode, working
from pagedviz.memory.eviction import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagedviz.engine import Engine
    from pagedviz.trace import State, Trace

ENGINE_OPTIONS: dict[str, dict[str, Any]] = {
    "model": {"default": "smollm2-135m", "help": "alias, Hugging Face id, folder or .gguf file"},
    "block_size": {"type": int, "default": 16, "help": "token slots per block"},
    "num_device_blocks": {"type": int, "default": 256, "help": "blocks in the device tier"},
    "num_host_blocks": {"type": int, "default": 0, "help": "blocks in the host tier; 0: none"},
    "eviction": {"default": "lru", "help": f"which cached block goes first: {', '.join(LIVE)}"},
    "preemption": {"default": "auto", "help": "auto, swap or recompute"},
    "prefix_caching": {
        "action": argparse.BooleanOptionalAction,
        "default": True,
        "help": "keep full blocks for reuse",
    },
    "attention": {"default": "auto", "help": f"auto, {', '.join(BACKENDS)}"},
    "device": {"default": "auto", "help": "auto, cpu, cuda, ..."},
    "dtype": {"default": "auto", "help": "auto, float32, float16 or bfloat16"},
}
"""Names as ``Engine.from_pretrained`` has them. Which values are valid is decided there."""
LOADING = "loading the model (the first time it is converted, which takes half a minute)"


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Says every default but None and False, which say nothing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default is None or action.default is False
        return action.help if silent else super()._get_help_string(action)


def add_engine_arguments(parser: argparse.ArgumentParser, *names: str, **defaults: Any) -> None:
    """The model, its place, and the options of its memory: those of ``names``, or all of them."""
    for name in names or ENGINE_OPTIONS:
        options = dict(ENGINE_OPTIONS[name])
        if name in defaults:
            options["default"] = defaults[name]
        parser.add_argument(f"--{name.replace('_', '-')}", **options)


def make_engine(arguments: argparse.Namespace, **options: Any) -> Engine:
    """The engine that the options describe; ``options`` overrule them. Their values are checked before it loads."""
    from pagedviz.engine import Engine

    told = {name: getattr(arguments, name) for name in ENGINE_OPTIONS if name in arguments}
    return Engine.from_pretrained(told.pop("model"), **told | options)


@contextmanager
def loading() -> Iterator[None]:
    """Say on a terminal that a model is being loaded."""
    with working(LOADING):
        yield


def whole_number(text: str) -> int:
    """An argument that is a count: 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, 1 or more")
    return int(text)


def load_trace(path: str, *, sound_part: bool = False) -> Trace:
    """The trace in a file; what there is to warn of goes to standard error, a line each."""
    from pagedviz.trace import Trace

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace = Trace.load(path, sound_part=sound_part)
    for warning in caught:
        warn(str(warning.message))
    return trace


def warn(text: str) -> None:
    """Print a line on standard error."""
    print(f"pagedviz: {text}", file=sys.stderr)  # noqa: T201 - this is what the command says


def show_memory(state: State, trace: Trace, *, last_in_use: bool = True) -> None:
    """Print how memory is used in a state of the trace, and which state that is.

    Args:
        state: memory after a step.
        trace: the run it is of.
        last_in_use: it is the last state in which blocks are in use.
    """
    from pagedviz.figures import memory_summary
    from pagedviz.trace.analysis.computed import computed_tokens

    why = ", the last that leaves blocks in use" if last_in_use and state.step < trace.last_step else ""
    show(f"memory after step {state.step:,} of {trace.last_step:,}{why}:", bold=1)
    counters, samples = state.counters, len(state.sequences) > len(state.requests)
    computed = computed_tokens(trace, state.step) if counters.lost_tokens else None
    show(memory_summary(state, trace.info, computed))
    # Without ``computed``, resumed requests may have found what they lost.
    found = counters.hit_tokens or (counters.lost_tokens and (computed is None or computed.found_again))
    if counters.shared and not (found or counters.swapped_in or samples):
        show("shared, though the prefix cache found nothing: blocks that fill up with equal content become one")


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print data as JSON, and nothing else")


def print_json(data: Any) -> None:
    """Print data as JSON; what the terminal cannot show is escaped, so that nothing of the data is lost."""
    print(json.dumps(data, indent=2, ensure_ascii=not knows_unicode()))  # noqa: T201 - this is the command's output


def version_of(package: str) -> str:
    """The version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def show(*parts: str, bold: int = 0) -> None:
    """Print text as it is, the first ``bold`` parts in bold: no markup, no emoji codes, no control characters.

    What a model wrote is data, for a terminal too.
    """
    from rich.text import Text

    text = Text()
    for index, part in enumerate(parts):
        clean = "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in part)
        text.append(clean, style="bold" if index < bold else "")
    console().print(text, soft_wrap=True)
