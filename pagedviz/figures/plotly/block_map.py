"""The blocks of a tier at one moment, as a plotly figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pagedviz.events.codec import EngineInfo
from pagedviz.figures import words
from pagedviz.figures.plotly.frame import INK, finish, literal, need_state, need_tier
from pagedviz.figures.sentences import describe
from pagedviz.figures.theme import theme
from pagedviz.trace import State

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_BLOCKS = 131_072
"""What plotly still draws; a larger pool is shown up to here."""


_FREE = "rgba(140,140,140,0.16)"
"""On a light ground and on a dark one."""


def block_map(state: State, info: EngineInfo | None = None, tier: str = "device") -> go.Figure:
    """One cell a block: colour by owner, pale if only cached, grey if free; marks for what is shared or new.

    Args:
        state: memory at one moment: ``trace.state_at(step)`` or ``engine.snapshot()``.
        info: what the engine is, so that the title can say that the device is simulated.
        tier: ``"device"`` or ``"host"``.

    Returns:
        A heat map, rows of blocks in the order of their ids; of more than 131,072 blocks, the first.

    Raises:
        ConfigError: ``state`` is no state, or there is no such tier.
    """
    tier = need_tier(tier, need_state(state))
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
        hover[row][column] = literal(describe(state, tier, number), 400)
    scale = [_FREE, *colours]
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
    return finish(
        figure,
        f"Block map: {theme().tier(tier, info)}, step {state.step:,}{shown}",
        "",
        "",
        empty="" if total else f"This run has no {tier} tier",
        xaxis={"visible": False},
        yaxis={"visible": False, "autorange": "reversed", "scaleanchor": "x"},
    )


def _add_textures(figure: go.Figure, state: State, tier: str, columns: int, count: int) -> None:
    """Marks in the corners where the picture has them, so that nothing depends on colour alone."""
    steps = theme().copied_steps
    held = {number: block for number, block in state.blocks.get(tier, {}).items() if number < count}
    kinds = {
        "shared": ("circle", (0.3, -0.3), [number for number, block in held.items() if words.shared(block)]),
        "copied": ("diamond", (-0.3, -0.3), [n for n, block in held.items() if words.copied(state, block, steps)]),
        "cached": ("square", (0, 0), [number for number, block in held.items() if not block.holders]),
        "moved": ("triangle-up", (-0.3, 0.3), [n for n, block in held.items() if words.moved(state, block, steps)]),
        "evicted": ("x", (0.3, 0.3), [n for n in range(count) if words.evicted(state, tier, n, steps)]),
    }
    for key, (symbol, (right, down), numbers) in kinds.items():
        if numbers:
            figure.add_scatter(
                x=[number % columns + right for number in numbers],
                y=[number // columns + down for number in numbers],
                mode="markers",
                name=theme().label(key),
                marker={"symbol": symbol, "size": 9, "color": INK, "line": {"width": 1, "color": "#ffffff"}},
                hoverinfo="skip",
            )
