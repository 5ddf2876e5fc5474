"""The dashboard as a Jupyter widget: carries messages between a ``Stream`` and the browser, and no more.

What is drawn is decided in ``browser/``; when messages leave, in ``stream``; how a run goes on, in the
session. Its only synced state is the script and the style sheet: whatever changes travels as messages, which
are neither kept in the notebook nor sent again to each view.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import anywidget
import traitlets

from pagedviz.browser import manifest
from pagedviz.browser.bundle import bundle, stylesheet
from pagedviz.errors import ConfigError
from pagedviz.trace import Trace
from pagedviz.widgets.feed import Feed, SavedFeed
from pagedviz.widgets.kernels import let_clicks_in
from pagedviz.widgets.live_feed import LiveFeed
from pagedviz.widgets.saved_view import SavedView, kept
from pagedviz.widgets.stream import Stream

_OPTIONS = ("layout", "panels")
PANELS = tuple(panel.name for panel in manifest.panels())
"""The panels of a dashboard, by the names of their folders in ``browser/panels/``."""


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
    _saved: SavedView | None = None

    def __init__(self, source: Feed | Trace, **options: Any) -> None:
        for name in options:
            if name not in _OPTIONS:
                raise ConfigError(f"Dashboard has no option {name!r}; it has {', '.join(_OPTIONS)}")
        if not isinstance(source, Trace) and not hasattr(source, "watch"):
            raise ConfigError(f"Dashboard shows a Session or a Trace, not a {type(source).__name__}")
        self._feed: Feed = SavedFeed(source) if isinstance(source, Trace) else LiveFeed(source)
        super().__init__(_panels=_checked(options.pop("panels", self._shows)), **options)
        # The stream listens first: views have the end of a run before its picture is drawn.
        self._stream = Stream(self._feed, self.send, look=self._look)
        self._saved = SavedView(self._feed)
        let_clicks_in(self)

    def _handle_custom_msg(self, content: object, buffers: object) -> None:
        if self._stream is not None:
            self._stream.receive(content)
        super()._handle_custom_msg(content, buffers)

    def _look(self, step: int | None) -> None:
        if self._saved is not None:
            self._saved.look(step)

    def close(self) -> None:
        """Take the dashboard away and stop listening."""
        # ipywidgets closes every widget that goes away, also one whose constructor refused its arguments.
        for part in (self._stream, self._saved, getattr(self, "_feed", None)):
            if isinstance(part, (Stream, SavedView, LiveFeed)):
                part.close()
        super().close()

    def __repr__(self) -> str:
        return f"<Dashboard of {self._feed.trace.info.name}, {self._feed.status.state}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live view, and beside it the picture and the sentence for a host that shows no widgets."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        data.update(kept(self._feed.trace))
        return data, metadata

    def _ipython_display_(self, **kwargs: Any) -> None:  # noqa: ARG002 - IPython's signature
        """The live view, and behind it what a saved notebook keeps."""
        from IPython.display import display

        data, metadata = super()._repr_mimebundle_()
        display({**data, "text/plain": repr(self)}, metadata, raw=True)
        if self._saved is not None:
            self._saved.show()


def _checked(panels: Iterable[str]) -> list[str]:
    names = [panels] if isinstance(panels, str) else list(panels)
    for name in names:
        if name not in PANELS:
            raise ConfigError(f"Dashboard has no panel {name!r}; it has {', '.join(PANELS)}")
    return names
