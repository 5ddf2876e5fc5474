"""Where weights come from, and running a transformers model on paged attention."""

from pagedviz.models.paged import PagedModel
from pagedviz.models.weights import ALIASES, load

__all__ = ["ALIASES", "PagedModel", "load"]
