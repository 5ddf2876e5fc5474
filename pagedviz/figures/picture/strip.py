"""The memory timeline of the picture: slots used, cached, wasted and free over the steps, with marks, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from pagedviz.figures.picture.svg import INK, LINE, MUTED, element, number, rect, text, title
from pagedviz.figures.theme import theme
from pagedviz.figures.words import plural
from pagedviz.trace import MemoryPoint, MemoryUse

STACK = ("used", "cached", "internal")
"""Parts of memory that are drawn, from the bottom; the rest is free."""

_MARK = 6
"""Pixels between marks: closer ones become one, or a long run would be a large picture."""


def memory_strip(points: Sequence[MemoryPoint], x: float, y: float, width: float, height: float) -> str:
    """The timeline in a box; axis labels hang below and right of it."""
    colours = theme().memory
    first, last = points[0].step, points[-1].step
    span = max(1, last - first)
    total = max(1, points[-1].use.total)

    def across(step: int) -> float:
        return x + width * (step - first) / span

    def up(slots: int) -> float:
        return y + height * (1 - slots / total)

    drawn = thin(points, int(width))
    parts = [rect(x, y, width, height, fill=colours["free"], fill_opacity=0.14)]
    for count in range(len(STACK), 0, -1):  # the tallest first, the others over it
        tops = [up(sum(getattr(point.use, key) for key in STACK[:count])) for point in drawn]
        stairs = [(across(point.step), top) for point, top in zip(drawn, tops, strict=True)]
        parts.append(_area(stairs, y + height, x + width, colours[STACK[count - 1]]))
    parts += [
        element(
            "path",
            d=f"M{number(x)} {number(up(total * part // 4))}h{number(width)}",
            stroke="#fff",
            stroke_opacity=0.5,
        )
        for part in (1, 2, 3)
    ]
    parts.append(rect(x, y, width, height, fill="none", stroke=LINE))
    most = int(width / _MARK)
    for first_of, point in zip(points[:: _stride(points, most)], thin(points, most), strict=True):
        if point.marked:
            parts.append(_marks(first_of.step, point, across(point.step), y, y + height))
    turned = f"translate({x - 12:.0f} {y + height / 2:.0f}) rotate(-90)"
    parts += [
        text(x - 6, y + 9, f"{total:,}", text_anchor="end"),
        text(x - 6, y + height, "0", text_anchor="end"),
        text(x, y + height + 15, f"{theme().label('step')} {first:,}"),
        text(x + width, y + height + 15, f"{last:,}", text_anchor="end"),
        text(0, 0, theme().label("slots"), text_anchor="middle", transform=turned),
    ]
    return element("g", *parts, fill=MUTED, font_size=11)


def thin(points: Sequence[MemoryPoint], most: int) -> list[MemoryPoint]:
    """At most ``most`` points: neighbours become one, with the last one's use and the marks of all."""
    stride = _stride(points, most)
    groups = [points[begin : begin + stride] for begin in range(0, len(points), stride)]
    return [
        MemoryPoint(*group[-1][:2], *map(sum, zip(*(point[2:] for point in group), strict=True)))
        for group in groups
    ]


def _stride(points: Sequence[MemoryPoint], most: int) -> int:
    """How many neighbours become one."""
    return max(1, -(-len(points) // max(1, most)))


def memory_bar(use: MemoryUse, x: float, y: float, width: float, height: float) -> str:
    """One moment as a bar."""
    total = max(1, use.total)
    parts = [rect(x, y, width, height, fill="#ffffff", stroke=LINE)]
    for key in STACK:
        share = width * getattr(use, key) / total
        parts.append(rect(x, y, share, height, fill=theme().memory[key]))
        x += share
    return "".join(parts)


def _area(line: Sequence[tuple[float, float]], bottom: float, right: float, colour: str) -> str:
    """Stairs from the bottom: a value holds until the next step."""
    path = [f"M{line[0][0]:.1f} {bottom:.1f}"]
    path += [f"{'V' if index == 0 else f'H{x:.1f}V'}{top:.1f}" for index, (x, top) in enumerate(line)]
    return element("path", d="".join(path) + f"H{right:.1f}V{bottom:.1f}z", fill=colour)


def mark(key: str, x: float, y: float, *children: str) -> str:
    """The mark of a kind around (x, y): each has its shape, so that nothing depends on colour alone."""
    edge = {"stroke": INK, "stroke_width": 0.6} if key == "preempted" else {"stroke": "#fff", "stroke_width": 0.8}
    return element("path", *children, d=f"M{x:.1f} {y:.1f}{_SHAPES[key]}", fill=theme().marks[key], **edge)


_SHAPES = {
    "preempted": "m-4.5 -4h9l-4.5 8z",
    "copied": "m0 -4l4 4l-4 4l-4-4z",
    "evicted": "m0 -2l3-3l2 2l-3 3l3 3l-2 2l-3-3l-3 3l-2-2l3-3l-3-3l2-2z",
    "swapped_out": "m-1.6 -5h3.2v5h3l-4.6 5.5l-4.6 -5.5h3z",
    "swapped_in": "m-1.6 5h3.2v-5h3l-4.6 -5.5l-4.6 5.5h3z",
}


def _marks(first: int, point: MemoryPoint, x: float, top: float, bottom: float) -> str:
    """Preempted requests above the box, copied and evicted blocks at its top, swaps at its bottom.

    The point stands for the steps from ``first`` on.
    """
    steps = f"Step {first:,}" if first == point.step else f"Steps {first:,} to {point.step:,}"
    rows = {
        "preempted": ("request", top - 5),
        "copied": ("block", top + 8),
        "evicted": ("block", top + 20),
        "swapped_out": ("block", bottom - 20),
        "swapped_in": ("block", bottom - 8),
    }
    parts = []
    for key, (thing, y) in rows.items():
        if count := getattr(point, key):
            said = title(f"{steps}: {plural(count, thing)} {theme().label(key)}")
            parts.append(mark(key, x, y, said))
    if point.preempted:
        parts.append(
            element("path", d=f"M{x:.1f} {top:.1f}v6", stroke=theme().marks["preempted"], stroke_width=1.5)
        )
    return "".join(parts)
