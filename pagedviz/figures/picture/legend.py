"""The rows below the picture: what its colours, textures and marks mean. Decides which of them are told.

How they look is decided in ``textures`` and ``strip``.
"""

from __future__ import annotations

from pagedviz.figures.picture import textures
from pagedviz.figures.picture.strip import STACK, mark
from pagedviz.figures.picture.svg import INK, LINE, MUTED, element, rect, text
from pagedviz.figures.theme import theme
from pagedviz.trace import State

_ROW = 22.0


def legend(state: State, x: float, y: float, width: float) -> tuple[str, float]:
    """The legend, and where it ends. The host tier and the prefix cache are told of where there are any."""
    left, parts = x, [element("path", d=f"M{x:.0f} {y - 16:.0f}h{width:.0f}", stroke=LINE)]
    for shape, name in (*_blocks(state), *_slots(state), *_marks(state)):
        room = 40 + 6.1 * len(name)
        if x > left and x + room - 22 > left + width:
            x, y = left, y + _ROW
        parts.append(element("g", shape, transform=f"translate({x:.0f} {y:.0f})"))
        parts.append(text(x + 18, y + 10, name, font_size=11.5, fill=MUTED))
        x += room
    return "".join(parts), y + 12


def _caches(state: State) -> bool:
    """Whether blocks are cached in this run, as far as the state can tell."""
    counters = state.counters
    return bool(counters.cached or counters.evicted or any(state.memory(tier).cached for tier in state.num_blocks))


def _has_host(state: State) -> bool:
    return state.num_blocks.get("host", 0) > 0


def _blocks(state: State) -> list[tuple[str, str]]:
    colour = theme().owner(1)
    full = rect(0, 0, 12, 12, fill=colour)
    shapes = [
        (rect(0, 0, 12, 12, fill="#fff", stroke=LINE), "free block"),
        (
            rect(0, 0, 12, 12, fill=colour, fill_opacity=0.25) + rect(0, 7, 12, 5, fill=colour),
            "filled so far, colour = owner",
        ),
        (full + textures.shared(0, 0, 12), theme().label("shared")),
        (
            full + element("path", d="M0 4L4 0M0 8L8 0", stroke=INK, stroke_width=1.2),
            theme().label("copied"),
        ),
    ]
    if _caches(state):
        shapes.append((textures.cached(0, 0, 12), f"{theme().label('cached')}, nobody has it"))
        shapes.append((rect(0, 0, 12, 12, fill="#fff", stroke=LINE) + textures.evicted(0, 0, 12), "just evicted"))
    if _has_host(state):
        shapes.append((full + textures.moved(0, 0, 12, up=True), "came up from the host"))
        shapes.append((full + textures.moved(0, 0, 12, up=False), "came down to it"))
    return shapes


def _slots(state: State) -> list[tuple[str, str]]:
    memory = theme().memory
    told = [key for key in STACK if key != "cached" or _caches(state)]
    free = rect(0, 0, 12, 12, fill=memory["free"], fill_opacity=0.14, stroke=LINE)
    names = {"cached": "cached slots"}
    shapes = [(rect(0, 0, 12, 12, fill=memory[key]), names.get(key, theme().label(key))) for key in told]
    return [*shapes, (free, theme().label("free"))]


def _marks(state: State) -> list[tuple[str, str]]:
    told = {"preempted": True, "copied": True, "evicted": _caches(state)}
    told |= {"swapped_out": _has_host(state), "swapped_in": _has_host(state)}
    names = {"copied": "copy", "evicted": "eviction"}
    return [(mark(key, 6, 6), names.get(key, theme().label(key))) for key, there in told.items() if there]
