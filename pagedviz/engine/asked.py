"""What a request asked for, and what an engine was made with, as a trace tells it: names, and values in JSON.

Decides how a value is written; which ones there are is decided by ``SamplingParams`` and ``EngineConfig``. Numbers
with a point are text here: a trace has whole numbers only.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from pagedviz.engine.config import EngineConfig
from pagedviz.engine.sampling.params import SamplingParams
from pagedviz.memory.plugin import name_of

_TOLD_ALREADY = frozenset({"max_tokens"})
"""The event says it in a field of its own, as the number that holds for this request."""


def asked(params: SamplingParams) -> tuple[tuple[str, str], ...]:
    """All of a request's parameters that are not as by default."""
    given, plain = _values(params), _values(SamplingParams())
    return tuple(
        (name, _written(value))
        for name, value in given.items()
        if name not in _TOLD_ALREADY and value != plain[name]
    )


def made_with(config: EngineConfig) -> dict[str, str]:
    """All options of an engine; a policy of the user's own by its name."""
    return {name: _written(value) for name, value in _values(config).items()}


def _values(options: SamplingParams | EngineConfig) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in fields(options)}


def _written(value: object) -> str:
    return json.dumps(value, default=name_of)
