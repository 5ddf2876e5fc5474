"""The picture: a state of memory as one self-contained SVG, for saved notebooks and the command line.

Pure Python, no dependency, no id and no style element, so that many pictures can stand on one page. It lays
the parts out; cells are drawn in ``cells``, the timeline in ``strip``, what they mean in ``legend``.
"""

from __future__ import annotations

from collections.abc import Sequence as Points

from pagedviz.events.codec import EngineInfo
from pagedviz.figures import words
from pagedviz.figures.picture.cells import Map, draw, grid_for
from pagedviz.figures.picture.legend import legend
from pagedviz.figures.picture.strip import memory_bar, memory_strip
from pagedviz.figures.picture.svg import INK, LINE, MUTED, PANEL, element, rect, text
from pagedviz.figures.summary import blocks_in_use, hit_rate, summary
from pagedviz.figures.theme import theme
from pagedviz.trace import MemoryPoint, Sequence, State, Trace, memory_history

_WIDTH, _EDGE, _GAP = 1080.0, 24.0, 28.0
_LEFT = 500.0
_RIGHT_X = _EDGE + _LEFT + _GAP
_RIGHT = _WIDTH - _EDGE - _RIGHT_X
_TOP = 92.0
_MAP_HEIGHT = 470.0
_MOST_ROWS = 8
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


def picture(state: State, info: EngineInfo, history: Points[MemoryPoint] | None = None, note: str = "") -> str:
    """An SVG of the state: block map, memory timeline, sequences with their block tables, counters, legend.

    Args:
        state: the moment to draw.
        info: the engine that it comes from.
        history: memory over the steps until then (``memory_history``); without it there is no timeline.
        note: a sentence of yours below the title, say what the picture was taken from.
    """
    left, left_end = _map(state, info)
    right, right_end = _right(state, history)
    legend_, legend_end = legend(state, _EDGE, max(left_end, right_end) + 26, _WIDTH - 2 * _EDGE)
    height = legend_end + 22
    return element(
        "svg",
        rect(0.5, 0.5, _WIDTH - 1, height - 1, rx=10, fill="#ffffff", stroke=LINE),
        _title(state, info, note),
        left,
        right,
        legend_,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH:.0f} {height:.0f}",
        width=_WIDTH,
        height=height,
        style="max-width:100%;height:auto",
        role="img",
        data_pagedviz="picture",  # by this the live dashboard's style sheet knows it
        aria_label=words.plain(summary(state, info), 400),
        font_family=_FONT,
        font_size=12,
        fill=INK,
    )


def picture_of(trace: Trace, state: State) -> str:
    """The picture of a state of a trace, with the timeline until then and nothing of what came after.

    Raises:
        TraceFormatError: an event until then contradicts what came before.
    """
    return picture(state, trace.info, memory_history(trace, until=state.step))


def _title(state: State, info: EngineInfo, note: str) -> str:
    return "".join(
        (
            text(_EDGE, 38, words.plain(info.name, 48), font_size=20, font_weight=600),
            text(_WIDTH - _EDGE, 38, f"{theme().label('step')} {state.step:,}", font_size=20, text_anchor="end"),
            text(_EDGE, 60, note or _facts(info), fill=MUTED),
        )
    )


def _facts(info: EngineInfo) -> str:
    """What is known of the engine, in a line."""
    facts = [] if info.attention is None else [f"{words.plain(info.attention, 20)} attention"]
    facts += [] if info.dtype is None else [words.plain(info.dtype, 12)]
    facts.append(f"{words.plural(info.block_size, 'token')} a block")
    if info.bytes_per_block is not None:
        facts.append(f"{words.size(info.bytes_per_block)} a block")
        if info.groups is not None:
            per_token = info.bytes_per_block * len(info.groups) / max(1, info.block_size)
            facts[-1] += f", {words.size(round(per_token))} a token"
    return " \u00b7 ".join(facts)


def _heading(x: float, y: float, title: str, aside: str = "", width: float = _RIGHT) -> str:
    right = text(x + width, y, aside, text_anchor="end", fill=MUTED) if aside else ""
    return text(x, y, title, font_size=13, font_weight=600) + right


def _map(state: State, info: EngineInfo) -> tuple[str, float]:
    parts, y = [], _TOP
    tiers = [tier for tier, blocks in state.num_blocks.items() if blocks > 0]
    for tier in tiers:
        blocks = state.num_blocks[tier]
        grid = grid_for(blocks, _LEFT, (_MAP_HEIGHT - 26 * (len(tiers) - 1)) / len(tiers))
        scale = f"one cell is {words.plural(grid.blocks_per_cell, 'block')}" if grid.blocks_per_cell > 1 else ""
        aside = scale or blocks_in_use(state, tier)
        parts.append(_heading(_EDGE, y, f"Block map: {theme().tier(tier, info)}", aside, _LEFT))
        parts.append(draw(Map(state, tier, grid, _EDGE, y + 12)))
        y += 12 + grid.height + 26
    return "".join(parts), y - 26


def _right(state: State, history: Points[MemoryPoint] | None) -> tuple[str, float]:
    use = state.memory()
    y = _TOP
    named = [("used", use.used), ("cached", use.cached), ("waste", use.internal), ("free", use.free)]
    aside = " \u00b7 ".join(
        f"{name} {words.percent(part, use.total)}" for name, part in named if part or name != "cached"
    )
    parts = [_heading(_RIGHT_X, y, "Memory over steps", aside)]
    if history and len(history) > 1:
        parts.append(memory_strip(history, _RIGHT_X + 44, y + 24, _RIGHT - 44, 130))
        y += 24 + 130 + 46
    else:
        parts.append(memory_bar(use, _RIGHT_X, y + 14, _RIGHT, 18))
        y += 14 + 18 + 34
    if state.num_blocks.get("host", 0) > 0:
        parts.append(text(_RIGHT_X, y, theme().tier("host", None), fill=MUTED, font_size=11))
        parts.append(memory_bar(state.memory("host"), _RIGHT_X + 44, y - 10, _RIGHT - 44, 12))
        y += 22
    counters, y = _counters(state, y)
    tables, y = _tables(state, y + 30)
    return "".join((*parts, counters, tables)), y


def _counters(state: State, y: float) -> tuple[str, float]:
    counters = state.counters
    rows: list[dict[str, int | str]] = [
        {
            "prefilled": counters.prefill_tokens,
            "decoded": counters.decode_tokens,
            "allocated": counters.allocated,
            "shared": counters.shared,
            "copied": counters.copied,
            "preempted": counters.preempted,
        }
    ]
    if counters.cached or counters.evicted or counters.swapped_out or counters.swapped_in:
        rows.append(
            {
                "prefix hits": hit_rate(state),
                "tokens found": counters.hit_tokens,
                "evicted": counters.evicted,
                "swapped out": counters.swapped_out,
                "swapped in": counters.swapped_in,
                "tokens lost": counters.lost_tokens,
            }
        )
    parts = []
    for row in rows:
        parts += [_tile(index, y, name, value) for index, (name, value) in enumerate(row.items())]
        y += 54
    return "".join(parts), y - 8


def _tile(index: int, y: float, name: str, value: int | str) -> str:
    """One of six numbers in a row."""
    width = (_RIGHT - 8 * 5) / 6
    x = _RIGHT_X + index * (width + 8)
    number = value if isinstance(value, str) else f"{value:,}" if value < 10**7 else f"{value:.1e}"
    return "".join(
        (
            rect(x, y, width, 46, rx=6, fill=PANEL, stroke=LINE),
            text(x + width / 2, y + 21, number, font_size=15, font_weight=600, text_anchor="middle"),
            text(x + width / 2, y + 37, name, font_size=9.5, fill=MUTED, text_anchor="middle"),
        )
    )


def _tables(state: State, y: float) -> tuple[str, float]:
    """A row per sequence: its letter, what it does, and where its blocks are."""
    rows = sorted(state.sequences.values(), key=lambda sequence: (sequence.status == "finished", sequence.id))
    waiting = sum(request.status in {"waiting", "preempted", "swapped"} for request in state.requests.values())
    aside = f"{words.plural(len(state.requests), 'request')}, {waiting:,} waiting"
    parts = [_heading(_RIGHT_X, y, "Block tables", aside)]
    for sequence in rows[:_MOST_ROWS]:
        y += 22
        parts.append(_row(state, sequence, y))
    if len(rows) > _MOST_ROWS:
        y += 20
        parts.append(text(_RIGHT_X, y, f"and {words.plural(len(rows) - _MOST_ROWS, 'sequence')} more", fill=MUTED))
    if not rows:
        y += 22
        parts.append(text(_RIGHT_X, y, "no requests yet", fill=MUTED))
    return "".join(parts), y


def _row(state: State, sequence: Sequence, y: float) -> str:
    request = state.requests[sequence.request]
    status = request.status if sequence.status == "waiting" else sequence.status
    colour = theme().owner(sequence.id)
    table = next(iter(sequence.tables.values()), [])
    entries = [f"{logical}\u2192{words.place(entry)}" for logical, entry in enumerate(table)]
    shown = "  ".join(entries) if len(entries) <= 4 else "  ".join((*entries[:3], "\u2026", entries[-1]))
    mono = "ui-monospace, 'DejaVu Sans Mono', Menlo, monospace"
    return "".join(
        (
            rect(_RIGHT_X, y - 10, 12, 12, rx=2, fill=colour, stroke=INK, stroke_opacity=0.35),
            text(_RIGHT_X + 20, y, words.letter(sequence.id), font_weight=600),
            text(_RIGHT_X + 48, y, words.plain(sequence.request, 12), fill=MUTED),
            text(_RIGHT_X + 116, y, status),
            text(_RIGHT_X + 248, y, words.plural(len(sequence.tokens), "token"), text_anchor="end"),
            text(_RIGHT_X + 262, y, shown or "\u2013", font_family=mono, font_size=11, fill=MUTED),
        )
    )
