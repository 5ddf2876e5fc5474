"""What hosts take: the dashboard as one ES module and one stylesheet.

The text travels to the browser with every widget, so ``make bundle`` keeps copies in ``dist/`` from which a
minifier took what a browser does not need. A copy is used while it is of these sources; whoever edits a module
sees the modules themselves. How modules become one is decided in ``linker.py``.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from pagedviz.browser import manifest
from pagedviz.browser.linker import link

HOME = Path(__file__).parent
DIST = HOME / "dist"
ENTRY = "index.js"
STYLES = ("dashboard.css", "kit/kit.css", "bar/bar.css")
"""The styles of all panels' folders follow these."""


@functools.cache
def bundle() -> str:
    """The dashboard as one ES module: ``export default {render}`` for anywidget, ``mount`` for pages."""
    return _smaller("dashboard.js", script_source())


@functools.cache
def stylesheet() -> str:
    """The dashboard's CSS."""
    return _smaller("dashboard.css", style_source())


def script_source() -> str:
    """The modules as one, as they are written."""
    return link(HOME, ENTRY, {"panels.js": manifest.module()})


def style_source() -> str:
    """The CSS, as it is written: what all share, then the grid and each panel's own."""
    own = (manifest.FOLDER / panel.name / "panel.css" for panel in manifest.panels())
    texts = [
        *(_read(HOME / name) for name in STYLES),
        manifest.grid(),
        *(_read(path) for path in own if path.is_file()),
    ]
    return "\n".join(texts)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def stamp(source: str) -> str:
    """The first line of a minified copy: which source it is of."""
    return f"/* of {hashlib.sha256(source.encode()).hexdigest()[:16]} */\n"


def _smaller(name: str, source: str) -> str:
    """The minified copy of the source, or the source itself if there is none of it."""
    copy = DIST / name
    text = copy.read_text(encoding="utf-8") if copy.is_file() else ""
    return text if text.startswith(stamp(source)) else source
