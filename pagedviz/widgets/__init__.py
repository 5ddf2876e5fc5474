"""The views: a run, live or saved, inside a notebook.

The widgets are made when one is first asked for (PEP 562), because anywidget is dear to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz.lazy import lazily
from pagedviz.widgets import names

if TYPE_CHECKING:
    from pagedviz.widgets.dashboard import Dashboard
    from pagedviz.widgets.names import *  # noqa: F403 - the panels' widgets, whatever they are

__all__ = ["Dashboard"]
__all__ += names.__all__


__getattr__ = lazily(
    __name__,
    {"Dashboard": "pagedviz.widgets.dashboard", **dict.fromkeys(names.__all__, "pagedviz.widgets.panels")},
)
