"""The paper's split of a tier's slots over the steps of a trace, as a plotly figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz.figures.plotly.frame import finish, need_tier, need_trace, pale
from pagedviz.figures.theme import theme
from pagedviz.trace import Trace
from pagedviz.trace.reducer import apply_batch
from pagedviz.trace.state import State

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_POINTS = 1000
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

    The parts are those of ``State.waste``, with what is cached told apart from what is free, and add up to 100 in
    every step. In paged memory *external* is 0: any free block serves any table.

    Args:
        trace: the run; also one that begins in the middle, or has no steps.
        tier: ``"device"`` or ``"host"``.

    Returns:
        A figure with a stacked area a part; x: steps, y: percent of the tier's slots. Beyond 1,000 steps,
        only as many of them are looked at.

    Raises:
        ConfigError: ``trace`` is no trace, or there is no such tier.
        TraceFormatError: an event contradicts what came before.
    """
    tier = need_tier(tier, need_trace(trace).start)
    import plotly.graph_objects as go

    colours = {**theme().memory, "reserved": theme().owners[6], "external": theme().owners[5]}
    start = trace.start
    total = start.num_blocks.get(tier, 0) * start.block_size
    points = _points(trace, tier) if total else []
    steps = [step for step, _ in points]
    figure = go.Figure()
    for key, (name, pattern) in _PARTS.items():
        slots = [parts[key] for _, parts in points]
        figure.add_scatter(
            x=steps,
            y=[100 * count / total for count in slots],
            customdata=slots,
            name=name,
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


def _points(trace: Trace, tier: str) -> list[tuple[int, dict[str, int]]]:
    """The parts after some of the steps, evenly apart, the first and the last among them."""
    state = trace.start.copy()
    last = {batch.step: index for index, batch in enumerate(trace.batches)}
    stride = max(1, -(-len(last) // _MOST_POINTS))
    wanted = {*list(last.values())[::-stride]}
    points = {state.step: _parts(state, tier)}
    for index, batch in enumerate(trace.batches):
        apply_batch(state, batch)
        if index in wanted:
            points[state.step] = _parts(state, tier)
    return list(points.items())


def _parts(state: State, tier: str) -> dict[str, int]:
    waste, cached = state.waste(tier), state.memory(tier).cached
    return {**waste._asdict(), "cached": cached, "free": waste.free - cached}
