"""What tells blocks apart besides colour: shapes on a cell for shared, copied, cached, moved and evicted blocks.

Each shape is drawn into a square of which the left, the top and the side are known. Which block has which is
decided in ``cells``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pagedviz.figures.picture.svg import INK, box, element, rect
from pagedviz.figures.theme import theme


def shared(left: float, top: float, side: float) -> str:
    """A dot in the upper right corner."""
    radius = max(1.8, side / 12)
    corner = {"cx": left + side - 1.5 * radius, "cy": top + 1.5 * radius}
    return element("circle", **corner, r=radius, fill=INK, stroke="#ffffff")


def copied(left: float, top: float, side: float) -> str:
    """A stroke from the lower left to the upper right, as in the dashboard."""
    return element("path", d=_stroke(left, top, side), stroke=INK, stroke_width=1.6)


def cached(left: float, top: float, side: float) -> str:
    """A pale square with a dashed edge."""
    return rect(left, top, side, side, fill="#ffffff") + rect(
        left + 0.5,
        top + 0.5,
        side - 1,
        side - 1,
        fill=theme().memory["cached"],
        fill_opacity=0.4,
        stroke=INK,
        stroke_opacity=0.7,
        stroke_dasharray="3 2.4",
    )


def moved(left: float, top: float, side: float, *, up: bool) -> str:
    """An arrow in the lower left corner: content came up from the host, or down to it."""
    reach = max(3.0, side / 8)
    x, y = left + 1.3 * reach, top + side - 1.3 * reach
    return element("path", d=_arrow(x, y, reach, up=up), fill=INK, stroke="#ffffff", stroke_width=0.8)


def evicted(left: float, top: float, side: float) -> str:
    """A cross in the upper left corner, as in the dashboard."""
    reach = max(2.2, side / 10)
    d = _cross(left + 1.8 * reach, top + 1.8 * reach, reach)
    return element("path", d=d, stroke="#ffffff", stroke_width=3.4) + element(
        "path", d=d, stroke=INK, stroke_width=1.6
    )


def small(key: str, places: Iterable[tuple[float, float, float]]) -> str:
    """The texture of all cells that are too small for the shapes above, as one path."""
    d = "".join(_SMALL[key](*place) for place in places)
    if not d:
        return ""
    if key in {"copied", "evicted"}:
        return element("path", d=d, stroke=INK, stroke_width=1)
    return element("path", d=d, fill="#ffffff" if key == "cached" else INK)


def _arrow(x: float, y: float, reach: float, *, up: bool) -> str:
    """A triangle around (x, y)."""
    height = reach if up else -reach
    return f"M{x - reach:.1f} {y + height:.1f}h{2 * reach:.1f}l{-reach:.1f} {-2 * height:.1f}z"


def _stroke(left: float, top: float, side: float) -> str:
    return f"M{left:.1f} {top + side:.1f}l{side:.1f} {-side:.1f}"


def _cross(x: float, y: float, reach: float) -> str:
    size = 2 * reach
    down, up = f"l{size:.1f} {size:.1f}", f"l{size:.1f} {-size:.1f}"
    return f"M{x - reach:.1f} {y - reach:.1f}{down}M{x - reach:.1f} {y + reach:.1f}{up}"


def _middle(left: float, top: float, side: float) -> str:
    return box(left + 0.3 * side, top + 0.3 * side, 0.4 * side, 0.4 * side)


_SMALL: dict[str, Callable[[float, float, float], str]] = {
    "shared": _middle,
    "cached": _middle,  # white: the cell is hollow
    "copied": _stroke,
    "moved_up": lambda left, top, side: _arrow(left + 0.3 * side, top + 0.7 * side, 0.25 * side, up=True),
    "moved_down": lambda left, top, side: _arrow(left + 0.3 * side, top + 0.7 * side, 0.25 * side, up=False),
    "evicted": lambda left, top, side: _cross(left + side / 2, top + side / 2, 0.3 * side),
}
