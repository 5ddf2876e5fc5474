"""The memory timeline of the picture: slots used, wasted and free over the steps, with marks, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from pagedviz.figures.svg import INK, LINE, MUTED, element, number, rect, text, title
from pagedviz.figures.theme import theme
from pagedviz.figures.words import plural
from pagedviz.trace import MemoryPoint, MemoryUse


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
    used = [(across(point.step), up(point.use.used)) for point in drawn]
    held = [(across(point.step), up(point.use.used + point.use.internal)) for point in drawn]
    parts = [
        rect(x, y, width, height, fill=colours["free"], fill_opacity=0.14),
        _area(held, y + height, x + width, colours["internal"]),
        _area(used, y + height, x + width, colours["used"]),
    ]
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
    parts += [_mark(point, across(point.step), y) for point in drawn if point.preempted or point.copied]
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
    stride = -(-len(points) // max(1, most))
    groups = [points[begin : begin + stride] for begin in range(0, len(points), stride)]
    return [
        MemoryPoint(
            group[-1].step,
            group[-1].use,
            sum(point.preempted for point in group),
            sum(point.copied for point in group),
        )
        for group in groups
    ]


def memory_bar(use: MemoryUse, x: float, y: float, width: float, height: float) -> str:
    """One moment as a bar."""
    total = max(1, use.total)
    parts = [rect(x, y, width, height, fill="#ffffff", stroke=LINE)]
    for slots, key in ((use.used, "used"), (use.internal, "internal")):
        parts.append(rect(x, y, width * slots / total, height, fill=theme().memory[key]))
        x += width * slots / total
    return "".join(parts)


def _area(line: Sequence[tuple[float, float]], bottom: float, right: float, colour: str) -> str:
    """Stairs from the bottom: a value holds until the next step."""
    path = [f"M{line[0][0]:.1f} {bottom:.1f}"]
    path += [f"{'V' if index == 0 else f'H{x:.1f}V'}{top:.1f}" for index, (x, top) in enumerate(line)]
    return element("path", d="".join(path) + f"H{right:.1f}V{bottom:.1f}z", fill=colour)


def _mark(point: MemoryPoint, x: float, top: float) -> str:
    """A triangle where a request was preempted, a diamond where a block was copied."""
    marks = theme().marks
    parts = []
    if point.preempted:
        words = title(f"Step {point.step}: {plural(point.preempted, 'request')} preempted")
        shape = f"M{x - 4.5:.1f} {top - 9:.1f}h9l-4.5 8z"
        parts.append(element("path", words, d=shape, fill=marks["preempted"], stroke=INK, stroke_width=0.6))
        parts.append(element("path", d=f"M{x:.1f} {top:.1f}v6", stroke=marks["preempted"], stroke_width=1.5))
    if point.copied:
        words = title(f"Step {point.step}: {plural(point.copied, 'block')} {theme().label('copied')}")
        shape = f"M{x:.1f} {top + 4:.1f}l4 4l-4 4l-4-4z"
        parts.append(element("path", words, d=shape, fill=marks["copied"], stroke="#fff", stroke_width=0.8))
    return "".join(parts)
