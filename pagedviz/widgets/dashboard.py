"""The dashboard as a Jupyter widget: carries messages between a ``Stream`` and the browser, and no more.

What is drawn is decided in ``static/``; when messages leave, in ``stream``; how a run goes on, in the
session. Its only synced state is the script and the style sheet: whatever changes travels as messages, which
are neither kept in the notebook nor sent again to each view.
"""

from __future__ import annotations

from typing import Any

import anywidget

from pagedviz.errors import ConfigError
from pagedviz.figures.picture import picture
from pagedviz.trace import Trace
from pagedviz.widgets.bundle import bundle, stylesheet
from pagedviz.widgets.feed import Feed, SavedFeed
from pagedviz.widgets.stream import Stream

_OPTIONS = ("layout",)


class Dashboard(anywidget.AnyWidget):  # type: ignore[misc]  # traitlets has no types
    """Shows a live session, with buttons to pause, step, resume and stop it, or a saved trace.

        pv.Dashboard(session)
        pv.Dashboard(pv.Trace.load("run.pvtrace"))

    Args:
        source: a session, or a trace.
        options: ``layout`` as every Jupyter widget has it.

    Raises:
        ConfigError: the source is neither, or an option is unknown.
    """

    _esm = bundle()
    _css = stylesheet()

    def __init__(self, source: Feed | Trace, **options: Any) -> None:
        for name in options:
            if name not in _OPTIONS:
                raise ConfigError(f"Dashboard has no option {name!r}; it has {', '.join(_OPTIONS)}")
        if isinstance(source, Trace):
            source = SavedFeed(source)
        elif not hasattr(source, "watch"):
            raise ConfigError(f"Dashboard shows a Session or a Trace, not a {type(source).__name__}")
        self._feed: Feed = source
        super().__init__(**options)
        self._stream = Stream(self._feed, self.send)

    def _handle_custom_msg(self, content: object, buffers: object) -> None:
        self._stream.receive(content)
        super()._handle_custom_msg(content, buffers)

    def close(self) -> None:
        """Take the dashboard away and stop listening."""
        self._stream.close()
        super().close()

    def __repr__(self) -> str:
        return f"<Dashboard of {self._feed.trace.info.model}: {self._summary()}>"

    def _summary(self) -> str:
        trace = self._feed.trace
        memory = trace.state_at(trace.last_step).memory()
        slots = f"{memory.used} of {memory.used + memory.waste + memory.free} token slots hold K and V"
        return f"{self._feed.status.state} at step {trace.last_step}, {slots}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live view, and beside it a picture and a sentence that a saved notebook keeps."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        trace = self._feed.trace
        data["image/svg+xml"] = picture(trace.state_at(trace.last_step), trace.info)
        data["text/plain"] = repr(self)
        return data, metadata
