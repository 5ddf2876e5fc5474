"""How a batch reads and writes the cache: backends, a batch as tensors, copies between the tiers.

Names are resolved when they are first used (PEP 562): the names of the backends are an option's valid values,
and are known without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagedviz.attention.backends import BACKENDS, select_backend
    from pagedviz.attention.batch import GroupTables, PagedBatch
    from pagedviz.attention.paged import KVCache, StepAttention
    from pagedviz.attention.transfer import Transfer, select_transfer

__all__ = [
    "BACKENDS",
    "GroupTables",
    "KVCache",
    "PagedBatch",
    "StepAttention",
    "Transfer",
    "select_backend",
    "select_transfer",
]

_HOMES = {
    "BACKENDS": "backends",
    "GroupTables": "batch",
    "KVCache": "paged",
    "PagedBatch": "batch",
    "StepAttention": "paged",
    "Transfer": "transfer",
    "select_backend": "backends",
    "select_transfer": "transfer",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'pagedviz.attention' has no attribute {name!r}")
    value: object = getattr(import_module(f"pagedviz.attention.{_HOMES[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value
