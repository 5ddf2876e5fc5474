"""Options that several commands share, and the engine they describe."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagedviz.engine import Engine
    from pagedviz.trace import Trace


def add_engine_arguments(parser: argparse.ArgumentParser, *, num_device_blocks: int = 256) -> None:
    """The model, its place, and the options of its memory."""
    parser.add_argument("--model", default="smollm2-135m", help="alias, Hugging Face id, folder or .gguf file")
    parser.add_argument("--block-size", type=int, default=16, help="token slots per block")
    parser.add_argument(
        "--num-device-blocks", type=int, default=num_device_blocks, help="blocks in the device tier"
    )
    parser.add_argument("--num-host-blocks", type=int, default=0, help="blocks in the host tier; 0: none")
    parser.add_argument("--eviction", default="lru", help="which cached block goes first: lru, fifo, arc, ...")
    parser.add_argument("--preemption", default="auto", help="auto, swap or recompute")
    parser.add_argument(
        "--prefix-caching", action=argparse.BooleanOptionalAction, default=True, help="keep full blocks for reuse"
    )
    parser.add_argument("--attention", default="auto", help="auto, numba, torch or triton")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    parser.add_argument("--dtype", default="auto", help="auto, float32, float16 or bfloat16")


def make_engine(arguments: argparse.Namespace, **options: Any) -> Engine:
    """The engine that the options describe; ``options`` overrule them."""
    from pagedviz.engine import Engine

    names = (
        *("block_size", "num_device_blocks", "num_host_blocks", "eviction", "preemption", "prefix_caching"),
        *("attention", "device", "dtype"),
    )
    return Engine.from_pretrained(arguments.model, **{name: getattr(arguments, name) for name in names} | options)


def load_trace(path: str, *, sound_part: bool = False) -> Trace:
    """The trace in a file; what there is to warn of goes to standard error, a line each."""
    from pagedviz.trace import Trace

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace = Trace.load(path, sound_part=sound_part)
    for warning in caught:
        print(f"pagedviz: {warning.message}", file=sys.stderr)  # noqa: T201 - this is what the command says
    return trace


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print data as JSON, and nothing else")


def print_json(data: Any) -> None:
    """Print data as JSON."""
    print(json.dumps(data, indent=2, ensure_ascii=False))  # noqa: T201 - this is the command's output


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
    from rich.console import Console
    from rich.text import Text

    text = Text()
    for index, part in enumerate(parts):
        clean = "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in part)
        text.append(clean, style="bold" if index < bold else "")
    Console().print(text, soft_wrap=True)
