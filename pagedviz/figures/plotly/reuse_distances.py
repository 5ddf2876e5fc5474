"""How soon prompts use the same content again, and the hit rate that follows for any cache size, in plotly."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from pagedviz.figures.plotly.frame import EDGE, finish, need_trace
from pagedviz.figures.theme import theme
from pagedviz.figures.words import percent, plural
from pagedviz.trace import Trace
from pagedviz.trace.analysis import reuse

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_BARS = 60


def reuse_distances(trace: Trace) -> go.Figure:
    """Reuse distances of the contents that prompts ask for, and the hit rate of an LRU cache of any size.

    The distance of a use is the number of other distinct contents (full blocks, by their hash) that were used
    since the same content was used last. An LRU cache of c blocks hits a use if and only if its distance is below
    c (Mattson, Gecsei, Slutz, Traiger: Evaluation techniques for storage hierarchies, IBM Systems Journal 9(2),
    1970), so the cumulative share of the uses is the hit rate over c. First uses have no distance and are misses
    at any size. ``trace/analysis/reuse`` tells what counts as a use. Hits in the run itself can be fewer (its pool
    is shared with running sequences, and a block counts only after all blocks before it) or more (another policy).

    Args:
        trace: the run; also one that begins in the middle (what was used before is unknown), or has no steps.

    Returns:
        A figure with a histogram (x: distance in blocks, y: uses) and a line (x: blocks in the cache, y on the
        right: hit rate in percent of all uses, first ones too).

    Raises:
        ConfigError: ``trace`` is no trace.
        TraceFormatError: an event contradicts what came before.
    """
    distances = reuse.reuse_distances(need_trace(trace))
    import plotly.graph_objects as go

    counts = Counter(distance for distance in distances if distance != reuse.FIRST)
    longest = max(counts, default=0)
    width = longest // _MOST_BARS + 1
    bars: Counter[int] = Counter()
    for distance, count in counts.items():
        bars[distance // width] += count
    figure = go.Figure()
    figure.add_bar(
        x=[(bar + 0.5) * width - 0.5 for bar in sorted(bars)],
        y=[bars[bar] for bar in sorted(bars)],
        width=width,
        customdata=[_between(bar * width, width) for bar in sorted(bars)],
        name="uses by distance",
        marker={"color": theme().memory["cached"], "line": EDGE},
        hovertemplate="%{y:,} uses with %{customdata} in between<extra></extra>",
    )
    sizes = [0, *(distance + 1 for distance in sorted(counts))]
    hits = [0, *accumulate(counts[distance] for distance in sorted(counts))]
    figure.add_scatter(
        x=sizes,
        y=[100 * count / len(distances) for count in hits] if distances else [],
        yaxis="y2",
        name="hit rate of an LRU cache",
        mode="lines+markers" if len(sizes) <= 30 else "lines",
        line={"color": theme().owners[5], "shape": "hv", "width": 2.5},
        hovertemplate="LRU cache of %{x:,} blocks: %{y:.1f} % of all uses<extra></extra>",
    )
    first = sum(distance == reuse.FIRST for distance in distances)
    told = f"{plural(len(distances), 'use')}, {percent(first, len(distances))} of them first ones"
    return finish(
        figure,
        "Reuse distances of prompt blocks",
        "other contents used in between; blocks in the cache",
        "uses",
        below=told,
        empty="" if distances else "No prompt asked for a full block",
        bargap=0,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        yaxis={"rangemode": "tozero"},
        xaxis={"rangemode": "tozero"},
        yaxis2={
            "title": "hit rate of an LRU cache (%)",
            "overlaying": "y",
            "side": "right",
            "range": [0, 100],
            "tickmode": "linear",
            "dtick": 20,
            "showgrid": False,
        },
    )


def _between(first: int, width: int) -> str:
    return plural(first, "other content") if width == 1 else f"{first:,} to {first + width - 1:,} other contents"
