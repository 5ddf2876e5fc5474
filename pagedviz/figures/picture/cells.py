"""The block map of the picture: one cell a block, colour by owner, texture by state, as SVG.

Large cells are elements of their own with letters and a tooltip; small ones are merged into one path per
colour, so that 4096 blocks stay a small picture. Above that a cell stands for several blocks. What marks look
like is decided in ``textures``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from pagedviz.figures import words
from pagedviz.figures.picture import textures
from pagedviz.figures.picture.svg import INK, LINE, box, element, ink_on, rect, text, title
from pagedviz.figures.sentences import describe
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
        """The blocks that are not free."""
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
        drawn = sorted(blocks.held.keys() | _evicted(blocks))
        cells = "".join(_detailed(blocks, number, blocks.held.get(number)) for number in drawn)
    return _outlines(blocks) + cells


def _evicted(blocks: Map) -> set[int]:
    """Blocks of the pool that lost cached content lately."""
    count = blocks.state.num_blocks.get(blocks.tier, 0)
    gone = (number for number in blocks.state.evicted.get(blocks.tier, {}) if 0 <= number < count)
    return {number for number in gone if words.evicted(blocks.state, blocks.tier, number, theme().copied_steps)}


def _colour(block: Block) -> str:
    """The first owner's; a cached block has none, and a neutral colour."""
    return theme().owner(block.holders[0][0]) if block.holders else theme().memory["cached"]


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
        yield _Cell(number, _colour(block), fill)


def _summed(blocks: Map) -> Iterable[_Cell]:
    """Cells that stand for several blocks: the colour of the first that somebody has, filled by all that are held.

    Cached blocks are seen only where nobody has one of the cell's.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for number in sorted(blocks.held):
        members[number // blocks.grid.blocks_per_cell].append(number)
    slots = blocks.grid.blocks_per_cell * blocks.state.block_size
    for cell, numbers in members.items():
        held = [number for number in numbers if blocks.held[number].holders] or numbers
        used = sum(blocks.state.fill(number, blocks.tier) for number in held)
        yield _Cell(cell, _colour(blocks.held[held[0]]), used / slots)


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
    """Textures of small cells, one path a kind."""
    steps, state = theme().copied_steps, blocks.state
    found: dict[str, list[int]] = defaultdict(list)
    for number, block in blocks.held.items():
        if not block.holders:
            found["cached"].append(number)
        elif words.shared(block):
            found["shared"].append(number)
        elif words.copied(state, block, steps):
            found["copied"].append(number)
        if words.moved(state, block, steps):
            found["moved_up" if blocks.tier == "device" else "moved_down"].append(number)
    found["evicted"] = sorted(_evicted(blocks))
    return "".join(textures.small(key, [blocks.place(number) for number in found[key]]) for key in sorted(found))


def _detailed(blocks: Map, number: int, block: Block | None) -> str:
    """One block: filled from the bottom, with its owners' letters and textures; or free and just evicted."""
    place, steps = blocks.place(number), theme().copied_steps
    parts = [title(describe(blocks.state, blocks.tier, number))]
    if block is None:
        parts.append(rect(*place, place[2], fill="#ffffff", stroke=LINE))
    elif block.holders:
        parts += _held(blocks, number, block)
    else:
        parts.append(textures.cached(*place))
    if block is not None and words.moved(blocks.state, block, steps):
        parts.append(textures.moved(*place, up=blocks.tier == "device"))
    if words.evicted(blocks.state, blocks.tier, number, steps):
        parts.append(textures.evicted(*place))
    return element("g", *parts)


def _held(blocks: Map, number: int, block: Block) -> list[str]:
    """A block that somebody has."""
    left, top, side = blocks.place(number)
    colour = _colour(block)
    height = side * blocks.state.fill(number, blocks.tier) / blocks.state.block_size
    parts = [
        rect(left, top, side, side, fill="#ffffff"),
        rect(left, top, side, side, fill=colour, fill_opacity=0.25),
        rect(left, top + side - height, side, height, fill=colour),
    ]
    if words.copied(blocks.state, block, theme().copied_steps):
        parts.append(textures.copied(left, top, side))
    if words.shared(block):
        parts.append(textures.shared(left, top, side))
    parts.append(rect(left, top, side, side, fill="none", stroke=INK, stroke_opacity=0.35))
    letters = words.owners(block)
    font = min(14.0, 1.5 * side / max(2, len(letters)))
    if font >= 7:
        ink = ink_on(colour) if height > side * 0.6 else INK
        middle = {"text_anchor": "middle", "font_size": font, "fill": ink}
        parts.append(text(left + side / 2, top + side / 2 + font * 0.36, letters, **middle))
    return parts
