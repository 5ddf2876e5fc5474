"""How a batch reads and writes the cache: backends, a batch as tensors, copies between the tiers."""

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
