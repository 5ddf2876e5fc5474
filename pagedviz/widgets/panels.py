"""One panel of the dashboard, as a widget of its own. What a panel shows is decided in ``browser/``.

pv.BlockMap(session)
"""

from __future__ import annotations

from typing import ClassVar

from pagedviz.widgets.dashboard import Dashboard


class BlockMap(Dashboard):
    """All blocks of the device tier, and of the host tier if there is one: a cell each."""

    _shows: ClassVar[tuple[str, ...]] = ("block_map",)


class BlockTables(Dashboard):
    """The block table of every sequence: logical blocks and the block ids behind them."""

    _shows: ClassVar[tuple[str, ...]] = ("block_tables",)


class MemoryTimeline(Dashboard):
    """Token slots over steps: used, cached, internal waste and free, with marks for what happened."""

    _shows: ClassVar[tuple[str, ...]] = ("timeline",)


class RequestLanes(Dashboard):
    """What every request did in which step: waiting, prefill, decode, swapped, recomputing."""

    _shows: ClassVar[tuple[str, ...]] = ("requests",)


class PrefixTree(Dashboard):
    """Who shares the beginning of whose text, and what the prefix cache keeps of it."""

    _shows: ClassVar[tuple[str, ...]] = ("prefix_tree",)


class StepExplanation(Dashboard):
    """What happened in the step that is looked at and why, in plain sentences."""

    _shows: ClassVar[tuple[str, ...]] = ("explain",)


class TokenStrips(Dashboard):
    """What each sequence has read and written, token by token."""

    _shows: ClassVar[tuple[str, ...]] = ("tokens",)


class EventList(Dashboard):
    """Every event as a sentence, with filters."""

    _shows: ClassVar[tuple[str, ...]] = ("events",)


class StateTable(Dashboard):
    """The state as a table, for screen readers and for copying."""

    _shows: ClassVar[tuple[str, ...]] = ("table",)
