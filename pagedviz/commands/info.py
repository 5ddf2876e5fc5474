"""Say what is installed, which attention backends run here and where models are kept; or what a trace holds."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from pagedviz.commands.options import add_json_argument, load_trace, print_json, show, version_of
from pagedviz.errors import BackendUnavailable

PACKAGES = (
    "pagedviz",
    "torch",
    "triton",
    "transformers",
    "numba",
    "anywidget",
    "plotly",
    "jupyterlab",
    "ipykernel",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("trace", nargs="?", help="a .pvtrace file to describe")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Collect and print."""
    data = _trace(arguments.trace) if arguments.trace else _machine()
    if arguments.json:
        print_json(data)
        return
    if arguments.trace:
        data["groups"] = data["groups"] and "; ".join(map(_group, data["groups"]))
    for name, value in data.items():
        show(name, f": {'unknown' if value is None else value}", bold=1)


def _group(group: dict[str, Any]) -> str:
    """A layer group in words: ``30 layers (0 to 29), no window``."""
    layers, window = group["layers"], group["window"]
    seen = "no sliding window" if window is None else f"a sliding window of {window:,} tokens"
    if not layers:
        return f"unknown layers, {seen}"
    whole = list(layers) == list(range(layers[0], layers[-1] + 1))
    which = f"{layers[0]} to {layers[-1]}" if whole and len(layers) > 1 else ", ".join(map(str, layers))
    return f"{len(layers)} layer{'s' * (len(layers) != 1)} ({which}), {seen}"


def _trace(path: str) -> dict[str, Any]:
    trace = load_trace(path)
    engine: dict[str, Any] = msgspec.to_builtins(trace.info)
    return {"steps": trace.num_steps, "events": trace.num_events, "truncated": trace.truncated, **engine}


def _machine() -> dict[str, Any]:
    import torch

    from pagedviz.attention import BACKENDS
    from pagedviz.models.copies import cache_folder, copies

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data: dict[str, Any] = {name: version_of(name) for name in PACKAGES}
    data["device"] = str(device)
    for name, backend in BACKENDS.items():
        try:
            backend(device)
        except BackendUnavailable as error:
            data[f"attention {name!r}"] = str(error)
        else:
            data[f"attention {name!r}"] = "runs here"
    found = copies()
    for path, size in found.items():
        data[f"copy {path.name!r}"] = f"{size / 1e6:,.0f} MB in {path}"
    data["converted copies"] = (
        f"{len(found)}, {sum(found.values()) / 1e6:,.0f} MB in {cache_folder()}; a folder there may be removed: "
        "its copy is made again when it is needed"
    )
    return data
