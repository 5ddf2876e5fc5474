"""The panels: what ``panel.json`` says of each folder in ``panels/``, and what the page is given of it.

A folder is found by itself. Everything that lists panels is derived from here: the module that the dashboard builds
them from, the columns of its grid, the widgets' names, the table in the docs. Knows nothing of what panels draw.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field, fields
from pathlib import Path

FOLDER = Path(__file__).parent / "panels"

_COLUMNS = 12
_WIDTHS = (700, 1250)
"""From so many pixels on the grid has columns; ``span`` has a number for each."""


@dataclass(frozen=True)
class Panel:
    """What a panel's folder says of it."""

    name: str
    """The folder's; panels are asked for by it."""
    order: int
    """Those with lower numbers come first."""
    widget: str
    """The class of the widget that shows this panel alone: ``pv.BlockMap``."""
    label: str
    """Its title in the page."""
    shows: str
    """What is seen in it, as the end of a sentence that begins with "Shows"."""
    span: tuple[int, int]
    """How many of the grid's 12 columns it takes: on a page of 700 pixels, of 1250."""
    budget: int
    """How many bytes its script and style may have, minified; a test measures it."""
    is_text: bool = False
    """Whether there is nothing but text in it: then the keyboard can scroll it."""
    is_hidden: bool = False
    """Whether a dashboard shows it only when it is asked for."""
    keys: dict[str, str] = field(default_factory=dict)
    """Keys that do something in it, and what: for the help."""

    @property
    def kind(self) -> str:
        """Its class in the page, without the prefix."""
        return self.name.replace("_", "-")


@functools.cache
def panels() -> tuple[Panel, ...]:
    """All panels, in their order.

    Raises:
        ValueError: a ``panel.json`` lacks a fact, or has one that there is none of.
    """
    found = [_read(path) for path in FOLDER.glob("*/panel.json")]
    return tuple(sorted(found, key=lambda panel: (panel.order, panel.name)))


def _read(path: Path) -> Panel:
    facts = json.loads(path.read_bytes())
    known = {each.name for each in fields(Panel)} - {"name"}
    unknown, missing = sorted(set(facts) - known), sorted(known - {"is_text", "is_hidden", "keys"} - set(facts))
    if unknown or missing:
        raise ValueError(f"{path.parent.name}/panel.json has unknown facts {unknown}, and lacks {missing}")
    return Panel(**{"name": path.parent.name, **facts, "span": tuple(facts["span"])})


def module() -> str:
    """The JavaScript module that has all panels by name, with what the page must know of them."""
    imports = "".join(
        f'import {{ create as {panel.name} }} from "./panels/{panel.name}/panel.js";\n' for panel in panels()
    )
    entries = "".join(f"{panel.name}: {{ create: {panel.name}, {_facts(panel)} }},\n" for panel in panels())
    return f"{imports}export const PANELS = {{\n{entries}}};\n"


def _facts(panel: Panel) -> str:
    given = {"label": panel.label, "isText": panel.is_text, "isHidden": panel.is_hidden, "keys": panel.keys}
    return ", ".join(f"{name}: {json.dumps(fact, ensure_ascii=False)}" for name, fact in given.items() if fact)


def grid() -> str:
    """The style of the grid: the columns of each panel. One whose neighbour is hidden takes both's."""
    narrow, wide = _WIDTHS
    columns = f"  .pv-grid {{ grid-template-columns: repeat({_COLUMNS}, minmax(0, 1fr)); }}\n"
    spans = "".join(_span(panel, 0) for panel in panels())
    others = "".join(_span(panel, 1) for panel in panels() if panel.span[1] != panel.span[0])
    return (
        f"@container (min-width: {narrow}px) {{\n{columns}{spans}{_pairs()}}}\n"
        f"@container (min-width: {wide}px) {{\n{others}}}\n"
    )


def _span(panel: Panel, at: int) -> str:
    return f"  .pv-{panel.kind} {{ grid-column: span {panel.span[at]}; }}\n"


def _pairs() -> str:
    selectors = [
        f".pv-{left.kind}[hidden] + .pv-{right.kind}, .pv-{left.kind}:has(+ .pv-{right.kind}[hidden])"
        for left, right in _rows_of_two()
    ]
    return f"  {', '.join(selectors)} {{ grid-column: span {_COLUMNS}; }}\n"


def _rows_of_two() -> list[tuple[Panel, Panel]]:
    """Neighbours that fill a row of the narrower grid."""
    pairs: list[tuple[Panel, Panel]] = []
    before: Panel | None = None
    for panel in panels():
        if before and before.span[0] + panel.span[0] == _COLUMNS:
            pairs.append((before, panel))
            before = None
        else:
            before = panel
    return pairs
