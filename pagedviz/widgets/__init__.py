"""The views: a run, live or saved, inside a notebook.

The widgets are made when one is first asked for (PEP 562), because anywidget is dear to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pagedviz.widgets import names

if TYPE_CHECKING:
    from pagedviz.widgets.dashboard import Dashboard
    from pagedviz.widgets.names import *  # noqa: F403 - the panels' widgets, whatever they are

__all__ = ["Dashboard"]
__all__ += names.__all__


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'pagedviz.widgets' has no attribute {name!r}")
    home = import_module(f"pagedviz.widgets.{'dashboard' if name == 'Dashboard' else 'panels'}")
    value: object = getattr(home, name)
    globals()[name] = value  # the next look-up does not come here
    return value
