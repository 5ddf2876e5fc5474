"""How a batch reads and writes the cache: backends, a batch as tensors, copies between the tiers.

Names are resolved when they are first used (PEP 562): the names of the backends are an option's valid values,
and are known without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagedviz.lazy import lazily

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

__getattr__ = lazily(
    __name__,
    {
        "BACKENDS": "pagedviz.attention.backends",
        "GroupTables": "pagedviz.attention.batch",
        "KVCache": "pagedviz.attention.paged",
        "PagedBatch": "pagedviz.attention.batch",
        "StepAttention": "pagedviz.attention.paged",
        "Transfer": "pagedviz.attention.transfer",
        "select_backend": "pagedviz.attention.backends",
        "select_transfer": "pagedviz.attention.transfer",
    },
)
