"""The views: a run, live or saved, inside a notebook."""

from pagedviz.widgets.dashboard import Dashboard

__all__ = ["Dashboard"]
