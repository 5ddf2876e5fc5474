"""The paper's split of a tier's slots over the steps of a trace, as a plotly figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz.figures.frame import finish, need_tier, need_trace, pale
from pagedviz.figures.strip import thin
from pagedviz.figures.theme import theme
from pagedviz.trace import Trace, memory_history

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_POINTS = 4000
_PARTS = {
    "used": ("used", ""),
    "reserved": ("reserved", "|"),
    "internal": ("waste (internal)", "/"),
    "external": ("waste (external)", "x"),
    "cached": ("cached", "."),
    "free": ("free", ""),
}
"""Part -> its name, and the pattern that tells it apart besides its colour."""


def fragmentation(trace: Trace, tier: str = "device") -> go.Figure:
    """Where a tier's token slots go over the steps, in percent: figure 2 of the PagedAttention paper, over time.

    The parts are those of ``MemoryUse`` and add up to 100 in every step. In paged memory *reserved* and *external*
    are 0 by construction; they are drawn so that this can be seen.

    Args:
        trace: the run; also one that begins in the middle, or has no steps.
        tier: ``"device"`` or ``"host"``.

    Returns:
        A figure with a stacked area a part; x: steps, y: percent of the tier's slots. Beyond 4,000 steps,
        neighbours are drawn as one.

    Raises:
        ConfigError: ``trace`` is no trace, or there is no such tier.
        TraceFormatError: an event contradicts what came before.
    """
    tier = need_tier(tier, need_trace(trace).start)
    import plotly.graph_objects as go

    colours = {**theme().memory, "reserved": theme().owners[6], "external": theme().owners[5]}
    points = thin(memory_history(trace, tier), _MOST_POINTS)
    total = points[0].use.total
    points = points if total else []
    steps = [point.step for point in points]
    figure = go.Figure()
    for key, (name, pattern) in _PARTS.items():
        slots = [getattr(point.use, key) for point in points]
        never = " (0 by construction)" if key in {"reserved", "external"} and not any(slots) else ""
        figure.add_scatter(
            x=steps,
            y=[100 * count / total for count in slots],
            customdata=slots,
            name=name + never,
            stackgroup="slots",
            mode="lines",
            line={"width": 0.5, "shape": "hv", "color": colours[key]},
            fillcolor=pale(colours[key]) if key == "free" else colours[key],
            fillpattern={
                "shape": pattern,
                "fgcolor": "#ffffff",
                "bgcolor": colours[key],
                "size": 6,
                "solidity": 0.2,
            }
            if pattern
            else None,
            hovertemplate=f"{name}: %{{y:.1f}} % (%{{customdata:,}} slots)<extra></extra>",
        )
    return finish(
        figure,
        f"Fragmentation over steps: {theme().tier(tier, trace.info)}",
        theme().label("step"),
        "share of the tier's token slots (%)",
        empty="" if total else f"This run has no {tier} tier",
        hovermode="x unified",
        yaxis={"range": [0, 100]},
    )
