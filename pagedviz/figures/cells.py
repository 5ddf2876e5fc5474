"""The block map of the picture: one cell a block, colour by owner, texture by state, as SVG.

Large cells are elements of their own with letters and a tooltip; small ones are merged into one path per
colour, so that 4096 blocks stay a small picture. Above that a cell stands for several blocks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from pagedviz.figures import words
from pagedviz.figures.svg import INK, LINE, box, element, ink_on, rect, text, title
from pagedviz.figures.theme import theme
from pagedviz.trace import Block, State

MOST_CELLS = 4096
_LARGEST = 58.0
_DETAILED = 14.0
"""Pixels from which a cell is drawn by itself."""


class Grid(NamedTuple):
    """How the blocks of a pool are laid out in a box. ``blocks_per_cell`` is 1 unless there are too many."""

    columns: int
    rows: int
    cell: float
    blocks_per_cell: int

    @property
    def height(self) -> float:
        """Pixels from the top of the first row to the bottom of the last."""
        return self.rows * self.cell


def grid_for(num_blocks: int, width: float, height: float) -> Grid:
    """The largest cells with which the pool fits into the box, in rows of 8, 16, 24... blocks."""
    blocks_per_cell = max(1, math.ceil(num_blocks / MOST_CELLS))
    count = max(1, math.ceil(num_blocks / blocks_per_cell))
    choices = []
    for columns in (min(count, 8), *range(16, min(count, 256) + 1, 8)):
        rows = math.ceil(count / columns)
        choices.append(Grid(columns, rows, min(_LARGEST, width / columns, height / rows), blocks_per_cell))
    return max(choices, key=lambda grid: (grid.cell, grid.columns))


class Map(NamedTuple):
    """A tier to draw, and where: the top left corner of its first block is at (x, y)."""

    state: State
    tier: str
    grid: Grid
    x: float
    y: float

    @property
    def held(self) -> dict[int, Block]:
        """The blocks that somebody has."""
        return self.state.blocks.get(self.tier, {})

    def place(self, cell: int) -> tuple[float, float, float]:
        """Left, top and side of a cell."""
        row, column = divmod(cell, self.grid.columns)
        size = self.grid.cell
        gap = 2.0 if size >= _DETAILED else size / 8
        return self.x + column * size + gap / 2, self.y + row * size + gap / 2, size - gap


class _Cell(NamedTuple):
    number: int
    colour: str
    fill: float


def draw(blocks: Map) -> str:
    """The blocks of a tier."""
    if blocks.grid.blocks_per_cell > 1:
        cells = _merged(blocks, _summed(blocks))
    elif blocks.grid.cell < _DETAILED:
        cells = _merged(blocks, _single(blocks)) + _marks(blocks)
    else:
        cells = "".join(_detailed(blocks, number, block) for number, block in sorted(blocks.held.items()))
    return _outlines(blocks) + cells


def _outlines(blocks: Map) -> str:
    """All cells as if free; what somebody has is drawn over them."""
    count = math.ceil(blocks.state.num_blocks.get(blocks.tier, 0) / blocks.grid.blocks_per_cell)
    if blocks.grid.cell < _DETAILED:
        return _lines(blocks, count)
    path = []
    for number in range(count):
        left, top, side = blocks.place(number)
        path.append(box(left + 0.5, top + 0.5, side - 1, side - 1))
    return element("path", d="".join(path), fill="#ffffff", stroke=LINE)


def _lines(blocks: Map, count: int) -> str:
    """Lines between the first ``count`` cells, at a hundredth of the length of as many outlines."""
    size, columns = blocks.grid.cell, blocks.grid.columns
    rows, rest = divmod(count, columns)
    path = []
    for row in range(rows + bool(rest) + 1):
        across = columns if row <= rows else rest
        path.append(f"M{blocks.x:.1f} {blocks.y + row * size:.1f}h{across * size:.1f}")
    for column in range(columns + 1):
        down = rows + bool(rest) if column <= rest else rows
        path.append(f"M{blocks.x + column * size:.1f} {blocks.y:.1f}v{down * size:.1f}")
    return element("path", d="".join(path), stroke=LINE, stroke_width=min(1.0, size / 10))


def _single(blocks: Map) -> Iterable[_Cell]:
    for number, block in blocks.held.items():
        fill = blocks.state.fill(number, blocks.tier) / blocks.state.block_size
        yield _Cell(number, theme().owner(block.holders[0][0]), fill)


def _summed(blocks: Map) -> Iterable[_Cell]:
    """Cells that stand for several blocks: the colour of the first that somebody has, filled by all."""
    members: dict[int, list[int]] = defaultdict(list)
    for number in sorted(blocks.held):
        members[number // blocks.grid.blocks_per_cell].append(number)
    slots = blocks.grid.blocks_per_cell * blocks.state.block_size
    for cell, numbers in members.items():
        owner = blocks.held[numbers[0]].holders[0][0]
        used = sum(blocks.state.fill(number, blocks.tier) for number in numbers)
        yield _Cell(cell, theme().owner(owner), used / slots)


def _merged(blocks: Map, cells: Iterable[_Cell]) -> str:
    """One pale and one full path per colour: the cells, and what of them is filled."""
    pale: dict[str, list[str]] = defaultdict(list)
    full: dict[str, list[str]] = defaultdict(list)
    for number, colour, fill in cells:
        left, top, side = blocks.place(number)
        pale[colour].append(box(left, top, side, side))
        if fill > 0:
            full[colour].append(box(left, top + side * (1 - fill), side, side * fill))
    return "".join(
        element("path", d="".join(pale[colour]), fill=colour, fill_opacity=0.3)
        + element("path", d="".join(full[colour]), fill=colour)
        for colour in sorted(pale)
    )


def _marks(blocks: Map) -> str:
    """Textures of small cells: a dot on shared blocks, a stroke across copied ones."""
    dots, strokes = [], []
    for number, block in blocks.held.items():
        left, top, side = blocks.place(number)
        if words.shared(block):
            dots.append(box(left + 0.3 * side, top + 0.3 * side, 0.4 * side, 0.4 * side))
        elif words.copied(blocks.state, block, theme().copied_steps):
            strokes.append(f"M{left:.1f} {top + side:.1f}l{side:.1f} {-side:.1f}")
    return element("path", d="".join(dots), fill=INK) + element(
        "path", d="".join(strokes), stroke=INK, stroke_width=1
    )


def _detailed(blocks: Map, number: int, block: Block) -> str:
    """One block that somebody has: filled from the bottom, with its owners' letters and textures."""
    left, top, side = blocks.place(number)
    colour = theme().owner(block.holders[0][0])
    height = side * blocks.state.fill(number, blocks.tier) / blocks.state.block_size
    parts = [
        title(describe(blocks.state, blocks.tier, number, block)),
        rect(left, top, side, side, fill="#ffffff"),
        rect(left, top, side, side, fill=colour, fill_opacity=0.25),
        rect(left, top + side - height, side, height, fill=colour),
    ]
    if words.copied(blocks.state, block, theme().copied_steps):
        stripes = "".join(
            f"M{left:.1f} {top + reach:.1f}l{reach:.1f} {-reach:.1f}" for reach in (side / 4, side / 2)
        )
        parts.append(element("path", d=stripes, stroke=INK, stroke_width=1.2))
    if words.shared(block):
        radius = max(1.8, side / 12)
        corner = {"cx": left + side - 1.5 * radius, "cy": top + 1.5 * radius}
        parts.append(element("circle", **corner, r=radius, fill=INK, stroke="#ffffff"))
    parts.append(rect(left, top, side, side, fill="none", stroke=INK, stroke_opacity=0.35))
    letters = words.owners(block)
    font = min(14.0, 1.5 * side / max(2, len(letters)))
    if font >= 7:
        ink = ink_on(colour) if height > side * 0.6 else INK
        middle = {"text_anchor": "middle", "font_size": font, "fill": ink}
        parts.append(text(left + side / 2, top + side / 2 + font * 0.36, letters, **middle))
    return element("g", *parts)


def describe(state: State, tier: str, number: int, block: Block) -> str:
    """A block in one sentence."""
    named = [f"{words.letter(sequence)} (its block {logical})" for sequence, logical in block.holders[:4]]
    if len(block.holders) > len(named):
        named.append(f"{len(block.holders) - len(named)} more")
    origin = f", copied from {block.copied_from}" if block.copied_from >= 0 else ""
    return (
        f"Block {number} of the {tier}: {' and '.join(named)}; "
        f"{state.fill(number, tier)} of {words.plural(state.block_size, 'slot')} filled, "
        f"allocated in step {block.born}{origin}"
    )
