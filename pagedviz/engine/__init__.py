"""Requests, scheduler, batch, sampling, step loop.

Read in this order: config, request, schedule, batch, runner, sampling, core, engine. Names are resolved when they
are first used (PEP 562): what schedules needs no torch, so it can be imported where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz.lazy import lazily

if TYPE_CHECKING:
    from pagedviz.engine.config import EngineConfig
    from pagedviz.engine.engine import Engine
    from pagedviz.engine.outputs import CompletionOutput, Logprob, RequestOutput
    from pagedviz.engine.sampling.params import SamplingParams
    from pagedviz.engine.schedule.preview import Preview

__all__ = ["CompletionOutput", "Engine", "EngineConfig", "Logprob", "Preview", "RequestOutput", "SamplingParams"]

__getattr__ = lazily(
    __name__,
    {
        "CompletionOutput": "pagedviz.engine.outputs",
        "Engine": "pagedviz.engine.engine",
        "EngineConfig": "pagedviz.engine.config",
        "Logprob": "pagedviz.engine.outputs",
        "Preview": "pagedviz.engine.schedule.preview",
        "RequestOutput": "pagedviz.engine.outputs",
        "SamplingParams": "pagedviz.engine.sampling.params",
    },
)
