"""Requests, scheduler, batch, sampling, step loop.

Read in this order: config, request, scheduler, batch, runner, sampling, sampler, core, engine.
"""

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.engine import Engine
from pagedviz.engine.outputs import CompletionOutput, Logprob, RequestOutput
from pagedviz.engine.preview import Preview
from pagedviz.engine.sampling import SamplingParams

__all__ = ["CompletionOutput", "Engine", "EngineConfig", "Logprob", "Preview", "RequestOutput", "SamplingParams"]
