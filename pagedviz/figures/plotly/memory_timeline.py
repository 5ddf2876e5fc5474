"""Memory over the steps of a trace, as a plotly figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz.figures.picture.strip import thin
from pagedviz.figures.plotly.frame import finish, need_tier, need_trace, pale
from pagedviz.figures.theme import theme
from pagedviz.trace import MemoryPoint, Trace, memory_history

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_POINTS = 4000
_SYMBOLS = {
    "preempted": "triangle-down",
    "copied": "diamond",
    "evicted": "x",
    "swapped_out": "arrow-down",
    "swapped_in": "arrow-up",
}


def memory_timeline(trace: Trace, tier: str = "device") -> go.Figure:
    """Token slots used, cached, wasted and free over the steps, stacked; marks where more than work happened.

    Args:
        trace: the run; also one that begins in the middle, or has no steps.
        tier: ``"device"`` or ``"host"``.

    Returns:
        A figure with stacked areas; x: steps, y: token slots. Beyond 4,000 steps, neighbours are drawn as one.

    Raises:
        ConfigError: ``trace`` is no trace, or there is no such tier.
        TraceFormatError: an event contradicts what came before.
    """
    tier = need_tier(tier, need_trace(trace).start)
    import plotly.graph_objects as go

    points = thin(memory_history(trace, tier), _MOST_POINTS)
    steps = [point.step for point in points]
    figure = go.Figure()
    for key in ("used", "cached", "internal", "free"):
        figure.add_scatter(
            x=steps,
            y=[getattr(point.use, key) for point in points],
            name=theme().label(key),
            stackgroup="slots",
            line={"width": 0, "shape": "hv"},
            fillcolor=pale(theme().memory[key]) if key == "free" else theme().memory[key],
            hovertemplate=f"%{{y:,}} slots {theme().label(key)}<extra></extra>",
        )
    for key, symbol in _SYMBOLS.items():
        _add_marks(figure, points, key, symbol)
    return finish(
        figure,
        f"Memory over steps: {theme().tier(tier, trace.info)}",
        theme().label("step"),
        theme().label("slots"),
        empty="" if points[0].use.total else f"This run has no {tier} tier",
        hovermode="x unified",
        yaxis={"range": [0, max(1, points[0].use.total)]},
    )


def _add_marks(figure: go.Figure, points: list[MemoryPoint], key: str, symbol: str) -> None:
    marked = [point for point in points if getattr(point, key)]
    if marked:
        figure.add_scatter(
            x=[point.step for point in marked],
            y=[point.use.total - point.use.free for point in marked],
            customdata=[getattr(point, key) for point in marked],
            mode="markers",
            cliponaxis=False,
            name=theme().label(key),
            marker={"symbol": symbol, "size": 10, "color": theme().marks[key], "line": {"width": 1}},
            hovertemplate=f"%{{customdata}} {theme().label(key)}<extra></extra>",
        )
