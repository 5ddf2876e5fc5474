"""The dashboard as a Jupyter widget: carries messages between a ``Stream`` and the browser, and no more.

What is drawn is decided in ``static/``; when messages leave, in ``stream``; how a run goes on, in the
session. Its only synced state is the script and the style sheet: whatever changes travels as messages, which
are neither kept in the notebook nor sent again to each view.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import anywidget
import traitlets

from pagedviz.errors import ConfigError
from pagedviz.figures.picture import picture
from pagedviz.figures.summary import summary
from pagedviz.trace import Trace, last_step_in_use, memory_history
from pagedviz.widgets.bundle import bundle, stylesheet
from pagedviz.widgets.feed import Feed, SavedFeed
from pagedviz.widgets.kernels import let_clicks_in
from pagedviz.widgets.stream import Stream

_OPTIONS = ("layout", "panels")
PANELS = (
    "block_map",
    "block_tables",
    "timeline",
    "requests",
    "prefix_tree",
    "explain",
    "tokens",
    "events",
    "table",
)
"""The panels of a dashboard, by the names that ``static/dashboard.js`` has for them."""
_MOST_EVENTS_FOR_HISTORY = 200_000
"""A longer run is shown without its timeline in the saved picture: nobody waits seconds for a spare view."""


class Dashboard(anywidget.AnyWidget):  # type: ignore[misc]  # traitlets has no types
    """Shows a live session, with buttons to pause, step, resume and stop it, or a saved trace.

        pv.Dashboard(session)
        pv.Dashboard(pv.Trace.load("run.pvtrace"))
        pv.Dashboard(session, panels=["block_map", "events"])

    Args:
        source: a session, or a trace.
        options: ``panels``, which ones to show (``PANELS``; default: all, with switches for each), and ``layout``
            as every Jupyter widget has it.

    Raises:
        ConfigError: the source is neither, or an option or a panel is unknown.
    """

    _panels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _shows: ClassVar[tuple[str, ...]] = ()

    _esm = bundle()
    _css = stylesheet()
    _stream: Stream | None = None

    def __init__(self, source: Feed | Trace, **options: Any) -> None:
        for name in options:
            if name not in _OPTIONS:
                raise ConfigError(f"Dashboard has no option {name!r}; it has {', '.join(_OPTIONS)}")
        if isinstance(source, Trace):
            source = SavedFeed(source)
        elif not hasattr(source, "watch"):
            raise ConfigError(f"Dashboard shows a Session or a Trace, not a {type(source).__name__}")
        self._feed: Feed = source
        super().__init__(_panels=_checked(options.pop("panels", self._shows)), **options)
        self._stream = Stream(self._feed, self.send)
        let_clicks_in(self)

    def _handle_custom_msg(self, content: object, buffers: object) -> None:
        if self._stream is not None:
            self._stream.receive(content)
        super()._handle_custom_msg(content, buffers)

    def close(self) -> None:
        """Take the dashboard away and stop listening."""
        # ipywidgets closes every widget that goes away, also one whose constructor refused its arguments.
        if self._stream is not None:
            self._stream.close()
        super().close()

    def __repr__(self) -> str:
        return f"<Dashboard of {self._feed.trace.info.model}, {self._feed.status.state}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live view, and beside it the picture and the sentence that a saved notebook keeps."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        trace = self._feed.trace
        quick = trace.num_events <= _MOST_EVENTS_FOR_HISTORY
        state = trace.state_at(last_step_in_use(trace) if quick else trace.last_step)
        data["image/svg+xml"] = picture(state, trace.info, memory_history(trace) if quick else None)
        data["text/plain"] = summary(state, trace.info)
        return data, metadata


def _checked(panels: Iterable[str]) -> list[str]:
    names = [panels] if isinstance(panels, str) else list(panels)
    for name in names:
        if name not in PANELS:
            raise ConfigError(f"Dashboard has no panel {name!r}; it has {', '.join(PANELS)}")
    return names
