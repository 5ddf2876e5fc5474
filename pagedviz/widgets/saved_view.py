"""What a saved notebook keeps of a dashboard: a picture of memory at the step last looked at, and a line of text.

It is an output of its own behind the live view, whose style sheet hides it (`browser/dashboard.css`): so it can be
replaced while nobody's view is touched. It decides when: as soon as the run, or a person who moves through it, has
stood still for a moment. It knows of Jupyter how outputs are shown and replaced, and nothing of what is drawn.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from pagedviz.errors import TraceFormatError
from pagedviz.figures import words
from pagedviz.figures.picture.picture import picture, picture_of
from pagedviz.figures.summary import summary
from pagedviz.trace import Trace, last_step_in_use
from pagedviz.widgets.feed import Feed

STILL_FOR_S = 0.5

_MOST_EVENTS_FOR_HISTORY = 200_000
"""A longer run is shown without its timeline: nobody waits seconds for a spare view."""

_log = logging.getLogger(__name__)


def kept(trace: Trace, step: int | None = None) -> dict[str, str]:
    """The picture and the line of text, by mime type; of a run that contradicts itself, a line that says so.

    Args:
        trace: the run.
        step: the one that is looked at; None for the last in which memory was in use.
    """
    try:
        return _kept(trace, step)
    except TraceFormatError as error:
        return {"text/plain": f"{words.plain(trace.info.name)}: {words.plain(str(error), 400)}"}


def _kept(trace: Trace, step: int | None) -> dict[str, str]:
    quick = trace.num_events <= _MOST_EVENTS_FOR_HISTORY
    if step is None:
        step = last_step_in_use(trace) if quick else trace.last_step
    state = trace.state_at(min(max(step, trace.first_step), trace.last_step))
    image = picture_of(trace, state) if quick else picture(state, trace.info)
    return {"image/svg+xml": image, "text/plain": summary(state, trace.info)}


class SavedView:
    """Keeps the pictures of one dashboard up to date, one for each output in which it was shown."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._step: int | None = None
        self._shown: list[Any] = []
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._unwatch = feed.watch(self._hear)

    def show(self) -> None:
        """Put the picture into the output of the running cell."""
        from IPython.display import display

        self._shown.append(display(kept(self._feed.trace, self._step), raw=True, display_id=True))

    def look(self, step: int | None) -> None:
        """Somebody looks at this step, or at the latest (None). On any thread."""
        self._step = step
        self._soon()

    def _hear(self, urgent: bool) -> None:  # noqa: FBT001 - a feed's listener
        state = self._feed.status.state if urgent else "running"
        if state in ("finished", "stopped", "failed"):
            self._replace()  # now: a notebook that is executed by a program ends with the run
        elif state != "running":
            self._soon()

    def _soon(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(STILL_FOR_S, self._replace)
            self._timer.daemon = True
            self._timer.start()

    def _replace(self) -> None:
        if not self._shown:
            return
        try:
            data = kept(self._feed.trace, self._step)
            for handle in self._shown:
                handle.update(data, raw=True)
        except Exception:  # noqa: BLE001 - whatever a host raises: it is on the engine's thread, or on a timer's
            _log.exception("The saved picture could not be replaced")

    def close(self) -> None:
        """Leave the pictures as they are from now on."""
        self._unwatch()
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
