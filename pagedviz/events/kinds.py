"""What every record says of itself: its family, where it is explained, what it counts as, what can be guessed.

Decides which families and headings there are, which numbers a trace can have, and refuses a record that does not
fit when its class is made. Knows no record; they are in ``records``.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec

FAMILIES = ("engine", "request", "token", "block", "cache", "tier")
"""The families of events, in the order in which people choose among them."""

ALSO = "Also"
"""The heading of kinds that belong below no other."""

SECTIONS = (
    "Who came and who ran",
    "Who had to make room",
    "What the cache knew",
    "What was given up",
    "What moved between the tiers",
    "Which blocks were taken",
    "What was written",
    "What ended",
    "How long it took",
    ALSO,
)
"""The headings of *This step, explained*, in order."""

OWN = frozenset({"kind", "type", "seq", "step", "t_us", "time", "events"})
"""What an event has besides its fields, in files, tables and the browser."""

MOST = 2**53 - 1
"""The largest number in a trace: beyond it JavaScript, whose numbers are doubles, no longer counts by ones."""

Int = Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
"""Every number of an event, a keyframe or a header: what ``Number.isSafeInteger`` lets pass, and nothing else.

An engine emits none below 0. In a state -1 says "none": ``copied_from``, ``moved_from`` and ``cached`` of a block.
"""


class About(NamedTuple):
    """What a kind of event is, for all who treat kinds alike. ``browser/run/schema.json`` tells the browser.

    Attributes:
        family: one of ``FAMILIES``.
        section: one of ``SECTIONS``; None if no step is explained by it.
        rank: within its section, lower ones come first; those of one rank in the order of ``KINDS``.
        counter: what it counts as one of, a field of the state's counters; "" if it is not counted.
        guesses: what a person can guess of it before the step that causes it, first what is asked: a block, or
            whose it is. The engine can tell such a kind beforehand.
        telling: how much it says of a step: the caption is the step's most telling event. 0: never the caption.
    """

    family: str
    section: str | None = ALSO
    rank: int = 0
    counter: str = ""
    guesses: tuple[str, ...] = ()
    telling: int = 0


class Event(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all records. Written as ``[kind, field, field, ...]`` in field order.

    Raises:
        TypeError: when a class is made without ``about``, or with a field that is called as what every event has.
    """

    about: ClassVar[About]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        taken = sorted(OWN & set(inspect.get_annotations(cls)))
        if taken:
            raise TypeError(f"{cls.__name__} has a field {taken[0]}: every event has one of its own")
        told = cls.__dict__.get("about")
        if not isinstance(told, About) or told.family not in FAMILIES:
            raise TypeError(f"{cls.__name__} must say what it is: about = About(family, ...), of {FAMILIES}")
        if told.section not in (*SECTIONS, None):
            raise TypeError(f"{cls.__name__} has section {told.section!r}; valid: None or one of {SECTIONS}")
