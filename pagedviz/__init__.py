"""Watch PagedAttention work: a paged KV-cache engine, its events, and pictures of its memory.

The public names are resolved when they are first used (PEP 562), so that ``import pagedviz`` is quick and a
saved trace opens without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz._version import __version__
from pagedviz.errors import (
    AuditError,
    BackendUnavailable,
    ConfigError,
    DamagedTraceWarning,
    IgnoredSettingWarning,
    MissingPackage,
    ModelError,
    PagedvizError,
    PolicyError,
    RequestError,
    SessionError,
    TraceFileError,
    TraceFormatError,
    TruncatedTraceWarning,
)
from pagedviz.lazy import lazily as _lazily
from pagedviz.widgets import names as _panels

if TYPE_CHECKING:
    from pagedviz import errors, events, figures, lab, memory
    from pagedviz.engine import Engine, SamplingParams
    from pagedviz.session import Conversation, Session
    from pagedviz.session.breakpoints import Breakpoint
    from pagedviz.session.predictions import Prediction
    from pagedviz.trace import Trace, record
    from pagedviz.widgets import Dashboard
    from pagedviz.widgets.names import *  # noqa: F403 - the panels' widgets, whatever they are

__all__ = [
    "AuditError",
    "BackendUnavailable",
    "Breakpoint",
    "ConfigError",
    "Conversation",
    "DamagedTraceWarning",
    "Dashboard",
    "Engine",
    "IgnoredSettingWarning",
    "MissingPackage",
    "ModelError",
    "PagedvizError",
    "PolicyError",
    "Prediction",
    "RequestError",
    "SamplingParams",
    "Session",
    "SessionError",
    "Trace",
    "TraceFileError",
    "TraceFormatError",
    "TruncatedTraceWarning",
    "__version__",
    "errors",
    "events",
    "figures",
    "lab",
    "memory",
    "record",
]
__all__ += _panels.__all__

_HOMES = {
    "Breakpoint": "pagedviz.session.breakpoints",
    "Conversation": "pagedviz.session",
    "Dashboard": "pagedviz.widgets",
    "Engine": "pagedviz.engine",
    "Prediction": "pagedviz.session.predictions",
    "SamplingParams": "pagedviz.engine",
    "Session": "pagedviz.session",
    "Trace": "pagedviz.trace",
    "record": "pagedviz.trace",
}
_HOMES |= dict.fromkeys(_panels.__all__, "pagedviz.widgets")
_HOMES |= {name: f"pagedviz.{name}" for name in ("events", "figures", "lab", "memory")}

__getattr__ = _lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
