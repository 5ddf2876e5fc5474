"""Where weights come from, and running a transformers model on paged attention.

Names are resolved when they are first used (PEP 562): where copies lie is known without transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz.lazy import lazily

if TYPE_CHECKING:
    from pagedviz.models.paged import PagedModel
    from pagedviz.models.weights import ALIASES, load

__all__ = ["ALIASES", "PagedModel", "load"]

__getattr__ = lazily(
    __name__,
    {
        "ALIASES": "pagedviz.models.weights",
        "PagedModel": "pagedviz.models.paged",
        "load": "pagedviz.models.weights",
    },
)
