#!/usr/bin/env python
"""Write what is made of the browser's sources: the minified dashboard, and all that lists the panels.

The sources are ``pagedviz/browser``; what is made is kept in the repository, so that an installation needs no
minifier and an editor knows the widgets. A test says when something made is not of these sources any more.
"""

import re
from pathlib import Path

import minify  # tdewolff-minify

from pagedviz.browser.bundle import DIST, script_source, stamp, style_source
from pagedviz.browser.manifest import panels
from pagedviz.browser.schema import PLACE, schema
from pagedviz.trace import Counters

ROOT = Path(__file__).parents[1]
WIDGETS = ROOT / "pagedviz" / "widgets"
DOCS = ROOT / "docs" / "time-travel.md"

PANELS_HEAD = '''"""One panel of the dashboard, as a widget of its own: ``pv.BlockMap(session)``.

Made by ``make bundle`` of ``browser/panels/*/panel.json``. What a panel shows is decided in its folder.
"""

from __future__ import annotations

from typing import ClassVar

from pagedviz.widgets.dashboard import Dashboard
'''
PANEL = '''

class {panel.widget}(Dashboard):
    """Shows {panel.shows}."""

    _shows: ClassVar[tuple[str, ...]] = ("{panel.name}",)
'''
NAMES = '''"""What the widgets of single panels are called, for modules that load them when they are asked for.

Made by ``make bundle`` of ``browser/panels/*/panel.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagedviz.widgets.panels import (
{imports}
    )

__all__ = [
{names}
]
'''
MARKS = "<!-- made by make bundle -->\n", "<!-- until here -->\n"


def made() -> dict[Path, str]:
    """All that is made, by where it is kept."""
    script, style = script_source(), style_source()
    return {
        PLACE: schema(Counters.__struct_fields__),
        DIST / "dashboard.js": stamp(script) + minify.string("application/javascript", script) + "\n",
        DIST / "dashboard.css": stamp(style) + minify.string("text/css", style) + "\n",
        WIDGETS / "panels.py": PANELS_HEAD + "".join(PANEL.format(panel=panel) for panel in panels()),
        WIDGETS / "names.py": names(),
        DOCS: documented(DOCS.read_text(encoding="utf-8")),
    }


def names() -> str:
    """The module of names, sorted as the linter has them."""
    found = sorted(panel.widget for panel in panels())
    imports, quoted = (f"        {name}," for name in found), (f'    "{name}",' for name in found)
    return NAMES.format(imports="\n".join(imports), names="\n".join(quoted))


def documented(text: str) -> str:
    """The page of the docs, with the table of panels as it is now."""
    begin, end = MARKS
    rows = "".join(
        f"| `{panel.name}` | `pv.{panel.widget}` | {panel.shows}{'; hidden at first' * panel.is_hidden} |\n"
        for panel in panels()
    )
    table = f"{begin}| name | widget | shows |\n|---|---|---|\n{rows}{end}"
    return re.sub(f"{begin}.*?{end}", lambda _: table, text, flags=re.DOTALL)


if __name__ == "__main__":
    DIST.mkdir(exist_ok=True)
    PLACE.write_text(schema(Counters.__struct_fields__), encoding="utf-8")  # the dashboard is made of it
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
