"""How a batch reads and writes the cache: one file of backends, one record for a batch."""

from pagedviz.attention.backends import BACKENDS, select_backend
from pagedviz.attention.batch import GroupTables, PagedBatch
from pagedviz.attention.paged import KVCache, StepAttention

__all__ = ["BACKENDS", "GroupTables", "KVCache", "PagedBatch", "StepAttention", "select_backend"]
