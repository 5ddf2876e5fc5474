"""The live protocol on Python's side: what goes over the wire, and when (`docs/live-protocol.md`).

It decides that at most 30 messages a second leave, each with all that is new. It knows nothing of anywidget
or Jupyter (``send`` is a function) and nothing of how a run works (``feed`` is one).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from pagedviz.widgets.feed import Feed

SECONDS_PER_MESSAGE = 1 / 30

_DETAILS: dict[str, set[str]] = {
    "break": {"kind", "block", "tier", "sequence", "before"},
    "guess": {"block", "tier", "sequence", "request"},
}
"""Which details a command of a view can have, apart from its name."""

Send = Callable[[dict[str, Any], list[bytes]], None]
_log = logging.getLogger(__name__)


class Stream:
    """Sends one dashboard what its run has to say. All views of the dashboard hear the same."""

    def __init__(
        self,
        feed: Feed,
        send: Send,
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[int | None], None] = lambda step: None,  # noqa: ARG005 - nobody wants to know
    ) -> None:
        self._feed = feed
        self._send = send
        self._look = look
        self._clock = clock
        self._sent_at = float("-inf")
        # No view has anything before its snapshot, so there is no need to send what was before us.
        self._next_seq = feed.recorder.lines_since(1 << 62).next_seq
        self._error = ""
        self._asking: set[str] = set()
        self._unwatch = feed.watch(self.flush)

    def receive(self, message: object) -> None:
        """Take a message of a view, on any thread. What it gets wrong is logged and shown, never raised."""
        try:
            self._receive(message)
        except Exception as error:  # noqa: BLE001 - a host would swallow it
            _log.exception("The dashboard could not take %.200r", message)
            self._error = f"{type(error).__name__}: {error}"
            self._feed.ask(lambda: self.flush(urgent=True))

    def _receive(self, message: object) -> None:
        match message:
            case {"cmd": "hello", "view": str(view)}:
                # A view that asks again before it was answered gets one answer.
                if view not in self._asking:
                    self._asking.add(view)
                    self._feed.ask(lambda: self._answer(view))
            case {"cmd": "look", "step": int() | None as step}:
                self._look(step)
            case {"cmd": "pause" | "step" | "resume" | "stop" as command}:
                self._feed.command(command)
            case {"cmd": "break" | "guess" as command, **given} if given and given.keys() <= _DETAILS[command]:
                self._feed.command(command, **{str(name): value for name, value in given.items()})
            case {"cmd": "unbreak", "id": int(number)}:
                self._feed.command("unbreak", id=number)
            case {"cmd": "predict", "on": bool(on)}:
                self._feed.command("predict", on=on)
            case _:
                raise ValueError(f"no message of the live protocol: {message!r:.200}")

    def flush(self, urgent: bool) -> None:  # noqa: FBT001 - a feed's listener
        """Send what is new, unless it can wait and the last message left a moment ago."""
        now = self._clock()
        if not urgent and now - self._sent_at < SECONDS_PER_MESSAGE:
            return
        self._sent_at = now
        seq, self._next_seq, data = self._feed.recorder.lines_since(self._next_seq)
        head = {"type": "batch", "seq": seq, "next_seq": self._next_seq, "status": self._status()}
        self._send(head, [data] if data else [])

    def _answer(self, view: str) -> None:
        self._asking.discard(view)
        # What the snapshot holds must not be sent again behind it.
        self.flush(urgent=True)
        _, next_seq, data = self._feed.recorder.snapshot()
        head = {"type": "snapshot", "view": view, "next_seq": next_seq, "status": self._status()}
        self._send(head, [data])

    def _status(self) -> dict[str, Any]:
        status = self._feed.status
        upcoming = status.upcoming
        return {
            "state": status.state,
            "step": status.step,
            "message": self._error or status.message,
            "live": status.live,
            "commands": status.commands,
            "breaks": [{"id": item.id, "text": item.text, "enabled": item.enabled} for item in status.breaks],
            "predicting": status.predicting,
            "upcoming": upcoming and {"step": upcoming.step, "kinds": list(upcoming.kinds)},
            "score": list(status.score),
        }

    def close(self) -> None:
        """Send nothing more."""
        self._unwatch()
