"""One panel of the dashboard, as a widget of its own: ``pv.BlockMap(session)``.

Made by ``make bundle`` of ``browser/panels/*/panel.json``. What a panel shows is decided in its folder.
"""

from __future__ import annotations

from typing import ClassVar

from pagedviz.widgets.dashboard import Dashboard


class BlockMap(Dashboard):
    """Shows every block of the device and the host tier."""

    _shows: ClassVar[tuple[str, ...]] = ("block_map",)


class BlockTables(Dashboard):
    """Shows which block holds which part of each sequence."""

    _shows: ClassVar[tuple[str, ...]] = ("block_tables",)


class MemoryTimeline(Dashboard):
    """Shows slots used, wasted, cached and free over the steps, with marks for what happened."""

    _shows: ClassVar[tuple[str, ...]] = ("timeline",)


class RequestLanes(Dashboard):
    """Shows what each request did in which step."""

    _shows: ClassVar[tuple[str, ...]] = ("requests",)


class PrefixTree(Dashboard):
    """Shows who shares whose beginning, and what the cache keeps of it."""

    _shows: ClassVar[tuple[str, ...]] = ("prefix_tree",)


class StepExplanation(Dashboard):
    """Shows what happened in the step, and why, in plain sentences."""

    _shows: ClassVar[tuple[str, ...]] = ("explain",)


class TokenStrips(Dashboard):
    """Shows what each sequence has read and written."""

    _shows: ClassVar[tuple[str, ...]] = ("tokens",)


class EventList(Dashboard):
    """Shows every event as a sentence, with filters."""

    _shows: ClassVar[tuple[str, ...]] = ("events",)


class StateTable(Dashboard):
    """Shows the state as a table, to read aloud or to copy."""

    _shows: ClassVar[tuple[str, ...]] = ("table",)
