"""What the widgets of single panels are called, for modules that load them when they are asked for.

Made by ``make bundle`` of ``browser/panels/*/panel.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagedviz.widgets.panels import (
        BlockMap,
        BlockTables,
        EventList,
        MemoryTimeline,
        PrefixTree,
        RequestLanes,
        StateTable,
        StepExplanation,
        TokenStrips,
    )

__all__ = [
    "BlockMap",
    "BlockTables",
    "EventList",
    "MemoryTimeline",
    "PrefixTree",
    "RequestLanes",
    "StateTable",
    "StepExplanation",
    "TokenStrips",
]
