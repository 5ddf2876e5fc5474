"""Rows of a benchmark as text that fits the terminal: side by side, turned round, or one below the other.

Decides how a table is laid out and how a value is written. No value is ever shortened: what does not fit in its
column is wrapped if it is a text, and if it is a number the table takes another form. Knows nothing of what is
measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pagedviz.commands.output import console

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]

_UNITS = {
    "percent": "%",
    "ms": "ms",
    "seconds": "s",
    "mib": "MiB",
    "gb_per_s": "GB/s",
    "tokens_per_s": "tokens/s",
    "blocks_per_s": "blocks/s",
}
"""What a column's name may end in, before its percentile: the unit, as it is written in the head."""


_GAP = 2
"""Blanks behind each column: one of rich's own, and the padding."""
_PADDING = (0, 1, 0, 0)


def head(name: str) -> str:
    """A column's name in words, its unit in brackets: ``cold_ms_p20`` is ``cold p20 [ms]``."""
    stem, _, percentile = name.rpartition("_")
    if percentile not in {"p20", "p50", "p80"}:
        stem, percentile = name, ""
    unit = ""
    for ending, written in _UNITS.items():
        if stem == ending or stem.endswith(f"_{ending}"):
            stem, unit = stem.removesuffix(ending).rstrip("_"), f"[{written}]"
            break
    return " ".join(part for part in (stem.replace("_", " "), percentile, unit) if part)


def cell(value: object) -> str:
    """A value as it is written in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return "; ".join(map(cell, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {cell(part)}" for name, part in value.items())
    return str(value)


def show_table(rows: Sequence[Row], heads: dict[str, str] | None = None) -> None:
    """Print rows, all with the same columns, in the width of the terminal.

    Args:
        rows: the rows; what is the same in all of them is told once, above.
        heads: what to call a column, where ``head`` would not say it well.
    """
    from rich.text import Text

    said = {name: (heads or {}).get(name, head(name)) for name in rows[0]}
    same = [name for name in said if len(rows) > 1 and len({cell(row[name]) for row in rows}) == 1]
    names = [name for name in said if name not in same] or list(said)
    printed = console()
    if len(names) < len(said):
        told = "; ".join(f"{said[name]}: {cell(rows[0][name])}" for name in same)
        printed.print(Text(told))
    lines = [[cell(row[name]) for name in names] for row in rows]
    numeric = [all(_is_number(row[name]) for row in rows) for name in names]
    titles = [said[name] for name in names]
    turned = [[title, *column] for title, column in zip(titles, zip(*lines, strict=True), strict=True)]
    turned_numeric = [False] + [all(numeric)] * len(rows)
    parts = _parts(titles, lines, numeric, printed.width)
    if len(rows) > 1 and len(parts) == 1:
        printed.print(_table(titles, lines, numeric, printed.width))
    elif _fits([], turned, turned_numeric, printed.width):
        printed.print(_table([], turned, [False] + [True] * len(rows), printed.width))
    elif len(rows) > 1 and parts:
        for index, part in enumerate(parts):
            if index:
                printed.print()
            chosen = [[line[at] for at in part] for line in lines]
            printed.print(_table([titles[at] for at in part], chosen, [numeric[at] for at in part], printed.width))
    else:
        for index, line in enumerate(lines):
            if index:
                printed.print()
            for title, value in zip(titles, line, strict=True):
                printed.print(Text(f"{title}: {value}"))


def _parts(
    titles: Sequence[str], lines: Sequence[Sequence[str]], numeric: Sequence[bool], width: int
) -> list[list[int]]:
    """The columns of each table when one below the other is as wide as there is room; none if not even that fits.

    Each begins with the columns that tell the rows apart.
    """
    keys = 1
    while keys < len(titles) and len({tuple(line[:keys]) for line in lines}) < len(lines):
        keys += 1
    least = _least(titles, lines, numeric)
    parts, room = [[*range(keys)]], width - sum(least[:keys]) - _GAP * keys
    left = room
    for index in range(keys, len(titles)):
        if left < least[index] + _GAP:
            parts.append([*range(keys)])
            left = room
        parts[-1].append(index)
        left -= least[index] + _GAP
        if left < 0:
            return []
    return parts if room >= 0 else []


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _least(titles: Sequence[str], lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[int]:
    """How wide each column must be for its longest word, or number."""
    from rich.cells import cell_len

    widths = []
    for index, is_number in enumerate(numeric):
        parts = [word for title in titles[index : index + 1] for word in title.split()]
        for line in lines:
            parts += [line[index]] if is_number else line[index].split()
        widths.append(max(map(cell_len, parts), default=0))
    return widths


def _fits(titles: Sequence[str], lines: Sequence[Sequence[str]], numeric: Sequence[bool], width: int) -> bool:
    """Whether every word and every number has room in a column of its own."""
    return sum(least + _GAP for least in _least(titles, lines, numeric)) <= width


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]], numeric: Sequence[bool], width: int) -> Table:
    """The table, which fits; what room there is beyond the longest words goes to the columns in turn."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, show_header=bool(titles), padding=_PADDING)
    widths = _least(titles, lines, numeric)
    left = width - sum(widths) - _GAP * len(widths)
    for index, least in enumerate(widths):
        whole = max(map(cell_len, [*titles[index : index + 1], *(line[index] for line in lines)]))
        more = min(left, whole - least)
        left -= more
        title = Text(titles[index]) if titles else ""
        justify: Literal["left", "right"] = "right" if numeric[index] else "left"
        table.add_column(title, justify=justify, width=least + more, overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    return table
