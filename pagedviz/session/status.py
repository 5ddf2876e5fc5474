"""Where a run stands, as a person and a view are told. Data only; `docs/live-protocol.md` says how it is sent."""

from __future__ import annotations

import msgspec

from pagedviz.session.loop import RunState
from pagedviz.session.predictions import Upcoming


class Break(msgspec.Struct, frozen=True):
    """A breakpoint as it is shown."""

    id: int
    text: str
    enabled: bool


class Status(msgspec.Struct, frozen=True):
    """Where a run stands.

    ``step`` is the last step that finished, ``message`` a sentence ("" if there is nothing to say), and
    ``commands`` how many commands of views were taken so far. ``upcoming`` is what is to be guessed now; ``score``
    says how many guesses were right, of how many.
    """

    state: RunState
    step: int
    message: str = ""
    commands: int = 0
    live: bool = True
    breaks: tuple[Break, ...] = ()
    predicting: bool = False
    upcoming: Upcoming | None = None
    score: tuple[int, int] = (0, 0)
