"""What every request was doing, a lane each, as a plotly figure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pagedviz.errors import ConfigError
from pagedviz.figures.plotly.frame import finish, literal, need_choice, need_trace
from pagedviz.figures.theme import theme
from pagedviz.figures.words import plural
from pagedviz.trace import Trace
from pagedviz.trace.analysis.lanes import ACTIVITIES, Stretch, request_stretches

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_LANES = 400
"""What can still be told apart; of more requests, the first are shown."""

_PATTERNS = {"waiting": ".", "prefill": "/", "decode": "", "swapped": "-", "recomputing": "x"}


def request_lanes(trace: Trace, by: str = "step", requests: Iterable[str] | None = None) -> go.Figure:
    """A lane per request: when it was waiting, in prefill, in decode, swapped out, or recomputing what it had lost.

    Args:
        trace: the run; also one that begins in the middle, or has no steps.
        by: ``"step"``, or ``"time"`` for seconds since the engine began.
        requests: the names of those to show, in this order; by default all, of more than 400 the first.

    Returns:
        A figure with horizontal bars, one series an activity; a bar of steps covers its first to its last.

    Raises:
        ConfigError: ``trace`` is no trace, ``by`` is neither of the two, or a request is not in the trace.
        TraceFormatError: an event contradicts what came before.
    """
    need_choice("by", by, ("step", "time"))
    lanes = request_stretches(need_trace(trace))
    import plotly.graph_objects as go

    names = list(lanes if requests is None else requests)
    for name in names:
        if name not in lanes:
            known = ", ".join(map(repr, list(lanes)[:8])) or "none"
            raise ConfigError(
                f"request {name!r} is not in the trace, which has {known}{', ...' * (len(lanes) > 8)}"
            )
    shown = names[:MOST_LANES]
    figure = go.Figure()
    for what in ACTIVITIES:
        pieces = [(row, piece) for row, name in enumerate(shown) for piece in lanes[name] if piece.what == what]
        bars = [(row, piece, *_bar(piece, by)) for row, piece in pieces]
        bars = [bar for bar in bars if bar[3] > 0]
        figure.add_bar(
            orientation="h",
            base=[begin for _, _, begin, _ in bars],
            x=[length for _, _, _, length in bars],
            y=[row for row, *_ in bars],
            customdata=[[literal(shown[row], 40), _said(piece)] for row, piece, *_ in bars],
            name=theme().label(what),
            marker={
                "color": theme().lanes[what],
                "line": {"width": 0},
                "pattern": {"shape": _PATTERNS[what], "fgcolor": "#ffffff", "size": 6, "solidity": 0.2},
            },
            width=0.8,
            hovertemplate=f"%{{customdata[0]}}: {theme().label(what)}, %{{customdata[1]}}<extra></extra>",
        )
    rest = f", the first {len(shown):,} of {plural(len(names), 'request')}" if len(shown) < len(names) else ""
    return finish(
        figure,
        f"Requests over {'steps' if by == 'step' else 'time'}{rest}",
        theme().label("step") if by == "step" else "time since the engine began (s)",
        "",
        empty="" if shown else "No requests in this trace",
        barmode="overlay",
        bargap=0.2,
        legend={"traceorder": "normal"},
        height=max(320, min(1600, 190 + 26 * len(shown))),
        yaxis={
            "tickvals": list(range(len(shown))) if len(shown) <= 60 else None,
            "ticktext": [literal(name, 24) for name in shown] if len(shown) <= 60 else None,
            "range": [len(shown) - 0.5, -0.5] if shown else None,
            "showgrid": False,
            "zeroline": False,
        },
    )


def _bar(piece: Stretch, by: str) -> tuple[float, float]:
    """Where the bar begins, and its length."""
    if by == "step":
        return piece.first - 0.5, piece.last - piece.first + 1
    return piece.begin_us / 1e6, (piece.end_us - piece.begin_us) / 1e6


def _said(piece: Stretch) -> str:
    count = piece.last - piece.first + 1
    steps = f"steps {piece.first:,} to {piece.last:,}" if count > 1 else f"step {piece.first:,}"
    if not count:
        steps = f"between steps {piece.last:,} and {piece.first:,}"
    goes_on = ", and goes on" if piece.open else ""
    return f"{steps}, {(piece.end_us - piece.begin_us) / 1000:,.1f} ms{goes_on}"
