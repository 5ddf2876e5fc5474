"""Requests, scheduler, batch, sampling, step loop.

Read in this order: config, request, schedule, batch, runner, sampling, core, engine.
"""

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.engine import Engine
from pagedviz.engine.outputs import CompletionOutput, Logprob, RequestOutput
from pagedviz.engine.sampling.params import SamplingParams
from pagedviz.engine.schedule.preview import Preview

__all__ = ["CompletionOutput", "Engine", "EngineConfig", "Logprob", "Preview", "RequestOutput", "SamplingParams"]
