"""Requests, scheduler, batch, sampling, step loop.

Read in this order: config, request, schedule, batch, runner, sampling, core, engine. Names are resolved when they
are first used (PEP 562): what schedules needs no torch, so it can be imported where there is none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagedviz.engine.config import EngineConfig
    from pagedviz.engine.engine import Engine
    from pagedviz.engine.outputs import CompletionOutput, Logprob, RequestOutput
    from pagedviz.engine.sampling.params import SamplingParams
    from pagedviz.engine.schedule.preview import Preview

__all__ = ["CompletionOutput", "Engine", "EngineConfig", "Logprob", "Preview", "RequestOutput", "SamplingParams"]

_HOMES = {
    "CompletionOutput": "outputs",
    "Engine": "engine",
    "EngineConfig": "config",
    "Logprob": "outputs",
    "Preview": "schedule.preview",
    "RequestOutput": "outputs",
    "SamplingParams": "sampling.params",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'pagedviz.engine' has no attribute {name!r}")
    value: object = getattr(import_module(f"pagedviz.engine.{_HOMES[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value
