"""The blocks of a tier at one moment, as a plotly figure."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from pagedviz.events.codec import EngineInfo
from pagedviz.figures import words
from pagedviz.figures.sentences import describe
from pagedviz.figures.theme import theme
from pagedviz.trace import State

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_BLOCKS = 131_072
"""What plotly still draws; a larger pool is shown up to here."""


def block_map(state: State, info: EngineInfo | None = None, tier: str = "device") -> go.Figure:
    """One cell a block: colour by owner, pale if only cached, white if free; marks for what is shared or new."""
    import plotly.graph_objects as go

    total = state.num_blocks.get(tier, 0)
    count = min(total, MOST_BLOCKS)
    columns = max(1, math.ceil(math.sqrt(count)))
    rows = max(1, math.ceil(count / columns))
    colours = [theme().memory["cached"], *theme().owners]
    cells: list[list[float | None]] = [[None] * columns for _ in range(rows)]
    hover = [[""] * columns for _ in range(rows)]
    for number in range(count):
        row, column = divmod(number, columns)
        block = state.block(number, tier)
        if block is not None:
            cells[row][column] = 2 + block.holders[0][0] % (len(colours) - 1) if block.holders else 1
        else:
            cells[row][column] = 0
        hover[row][column] = escape(describe(state, tier, number), quote=False)  # plotly reads tags
    scale = ["#F3F4F6", *colours]
    figure = go.Figure(
        go.Heatmap(
            z=cells,
            text=hover,
            hovertemplate="%{text}<extra></extra>",
            colorscale=[
                [(index + edge) / len(scale), colour] for index, colour in enumerate(scale) for edge in (0, 1)
            ],
            zmin=-0.5,
            zmax=len(scale) - 0.5,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    _add_textures(figure, state, tier, columns, count)
    shown = f", the first {count:,}" if count < total else ""
    figure.update_layout(
        title=f"{theme().label('block_map')}: {theme().tier(tier, info)}, step {state.step:,}{shown}",
        xaxis={"visible": False},
        yaxis={"visible": False, "autorange": "reversed", "scaleanchor": "x"},
        template="plotly_white",
    )
    return figure


def _add_textures(figure: go.Figure, state: State, tier: str, columns: int, count: int) -> None:
    """Dots and strokes, so that nothing depends on colour alone."""
    steps = theme().copied_steps
    held = {number: block for number, block in state.blocks.get(tier, {}).items() if number < count}
    kinds = {
        "shared": ("circle", [number for number, block in held.items() if words.shared(block)]),
        "copied": ("line-ne", [n for n, block in held.items() if words.copied(state, block, steps)]),
        "cached": ("square-open", [number for number, block in held.items() if not block.holders]),
        "moved": ("triangle-up", [n for n, block in held.items() if words.moved(state, block, steps)]),
        "evicted": ("x-thin", [n for n in range(count) if words.evicted(state, tier, n, steps)]),
    }
    for key, (symbol, numbers) in kinds.items():
        if numbers:
            figure.add_scatter(
                x=[number % columns for number in numbers],
                y=[number // columns for number in numbers],
                mode="markers",
                name=theme().label(key),
                marker={"symbol": symbol, "size": 7, "color": "#1f2328", "line": {"width": 1.5}},
                hoverinfo="skip",
            )
