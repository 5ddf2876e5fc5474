"""How long blocks kept what was put into them, as a plotly figure."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING

from pagedviz.figures.plotly.frame import EDGE, finish, need_tier, need_trace
from pagedviz.figures.theme import theme
from pagedviz.figures.words import plural
from pagedviz.trace import Trace
from pagedviz.trace.analysis import lifetimes as lives

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_BARS = 40
_NAMES = {
    "freed": "freed",
    "evicted": "evicted",
    "cached": "still cached at the end",
    "held": "still held at the end",
}
_PATTERNS = {"freed": "", "evicted": "x", "cached": ".", "held": "/"}


def block_lifetimes(trace: Trace, tier: str = "device") -> go.Figure:
    """How many steps blocks lived, from being taken to being free again, by how they ended.

    A block lives on while it is cached, and when a hit gives it to another sequence. Of a block that was still
    there when the trace ended, the steps until then are shown.

    Args:
        trace: the run; also one that begins in the middle, or has no steps.
        tier: ``"device"`` or ``"host"``.

    Returns:
        A stacked histogram; x: lifetime in steps, at most 40 bars of equal width, y: number of blocks.

    Raises:
        ConfigError: ``trace`` is no trace, or there is no such tier.
        TraceFormatError: an event contradicts what came before.
    """
    tier = need_tier(tier, need_trace(trace).start)
    import plotly.graph_objects as go

    found = lives.block_lifetimes(trace, tier)
    longest = max((life.steps for life in found), default=0)
    width = longest // _MOST_BARS + 1
    colours = {**theme().memory, "freed": theme().memory["free"], "held": theme().memory["used"]}
    colours["evicted"] = theme().marks["evicted"]
    figure = go.Figure()
    for ending in lives.ENDINGS:
        bars = sorted(Counter(life.steps // width for life in found if life.ending == ending).items())
        if not bars:
            continue
        figure.add_bar(
            x=[(bar + 0.5) * width - 0.5 for bar, _ in bars],
            y=[count for _, count in bars],
            width=width,
            customdata=[_steps(bar * width, width) for bar, _ in bars],
            name=_NAMES[ending],
            marker={
                "color": colours[ending],
                "line": EDGE,
                "pattern": {"shape": _PATTERNS[ending], "fgcolor": "#ffffff", "size": 6, "solidity": 0.25},
            },
            hovertemplate=f"%{{y:,}} {_NAMES[ending]}, after %{{customdata}}<extra></extra>",
        )
    middle = f", median {plural(int(statistics.median(life.steps for life in found)), 'step')}" if found else ""
    return finish(
        figure,
        f"Lifetimes of {plural(len(found), 'block')}: {theme().tier(tier, trace.info)}{middle}",
        "lifetime (steps)",
        theme().label("blocks"),
        empty="" if found else "No block of this tier was ever taken",
        barmode="stack",
        bargap=0,
        showlegend=True,
    )


def _steps(first: int, width: int) -> str:
    return plural(first, "step") if width == 1 else f"{first:,} to {first + width - 1:,} steps"
