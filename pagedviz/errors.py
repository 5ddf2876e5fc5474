"""Every error and warning that pagedviz raises on purpose; knows nothing about who raises it.

One root, so that ``except PagedvizError`` catches ours and only ours. Where a builtin says the same (a wrong
value, a missing file), the class is that builtin too.
"""


class PagedvizError(Exception):
    """The root of all errors of ours."""


class ConfigError(PagedvizError, ValueError):
    """An option that is unknown, out of range, or does not go with another."""


class RequestError(PagedvizError, ValueError):
    """A request that cannot be served: its prompt or its sampling parameters are at fault."""


class ModelError(PagedvizError):
    """A model that cannot be found, or that needs what paged attention here does not have."""


class BackendUnavailable(PagedvizError, RuntimeError):
    """An attention backend that cannot run here; the message says why."""


class MissingPackage(PagedvizError, ImportError):
    """A package that an extra of ours brings is not installed; the message has the command that brings it."""


class TraceFormatError(PagedvizError, ValueError):
    """A file that is no trace, is of a newer version, or contradicts itself; the message says where."""


class TraceFileError(PagedvizError, OSError):
    """A trace file that is not there, or cannot be read or written; the message names the path."""


class TruncatedTraceWarning(UserWarning):
    """A trace file ends in the middle of a line, as after a crash; all before that line was read."""


class DamagedTraceWarning(UserWarning):
    """A trace file is damaged; what is before the damage was read, as was asked for."""


class IgnoredSettingWarning(UserWarning):
    """A model's generation_config asks for what the engine does not do; the message names it."""


class AuditError(PagedvizError, AssertionError):
    """The engine's tables contradict each other, or the events: a defect in pagedviz."""


class PolicyError(PagedvizError, RuntimeError):
    """A policy plug-in raised, or chose what it must not; the message names the policy and its answer."""


class SessionError(PagedvizError, RuntimeError):
    """A session was asked for what its state does not allow, or its engine thread failed."""
