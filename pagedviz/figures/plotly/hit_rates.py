"""Hit rates of eviction policies over the size of the pool, as a plotly figure. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from pagedviz.figures.plotly.frame import finish, literal
from pagedviz.figures.theme import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go


class HitRate(Protocol):
    """What is drawn of a row, for example of ``pagedviz.lab.compare``."""

    @property
    def policy(self) -> str:
        """The policy's name."""

    @property
    def num_blocks(self) -> int:
        """Blocks in its pool."""

    @property
    def hit_rate(self) -> float:
        """Share of the prompt tokens that were found, 0 to 1."""


def hit_rates(rows: Iterable[HitRate]) -> go.Figure:
    """Share of prompt tokens found in the cache over the pool's size, a line per policy, the best ones first.

    Lines that share a colour differ in their dashes and marks.

    Args:
        rows: one per policy and size, for example of ``pagedviz.lab.compare``.

    Returns:
        A figure; x: blocks in the pool, y: percent of the prompt tokens.
    """
    import plotly.graph_objects as go

    lines: dict[str, list[HitRate]] = {}
    for row in rows:
        lines.setdefault(row.policy, []).append(row)
    figure = go.Figure()
    best_first = sorted(lines.items(), key=lambda line: -sum(row.hit_rate for row in line[1]))
    for number, (policy, points) in enumerate(best_first):
        again = number >= len(theme().owners)
        points.sort(key=lambda row: row.num_blocks)
        figure.add_scatter(
            x=[row.num_blocks for row in points],
            y=[100 * row.hit_rate for row in points],
            name=literal(policy),
            customdata=[literal(policy)] * len(points),
            mode="lines+markers",
            line={"color": theme().owner(number), "dash": "dash" if again else "solid"},
            marker={"symbol": "diamond" if again else "circle"},
            hovertemplate="%{y:.1f} % %{customdata}<extra></extra>",
        )
    return finish(
        figure,
        "Prompt tokens found in the prefix cache, by eviction policy",
        f"{theme().label('blocks')} in the pool",
        "prompt tokens found (%)",
        empty="" if lines else "Nothing was compared",
        yaxis_rangemode="tozero",
        hovermode="x unified",
    )
