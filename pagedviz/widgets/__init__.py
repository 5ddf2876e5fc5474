"""The views: a run, live or saved, inside a notebook.

``Dashboard`` is made when it is first asked for (PEP 562): ``page`` needs no anywidget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagedviz.widgets.dashboard import Dashboard

__all__ = ["Dashboard"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'pagedviz.widgets' has no attribute {name!r}")
    from pagedviz.widgets.dashboard import Dashboard

    globals()[name] = Dashboard  # the next look-up does not come here
    return Dashboard
