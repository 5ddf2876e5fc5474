"""Pictures of a state or a trace, as pure functions. plotly is imported when a plotly figure is asked for."""

from pagedviz.figures.block_lifetimes import block_lifetimes
from pagedviz.figures.block_map import block_map
from pagedviz.figures.fragmentation import fragmentation
from pagedviz.figures.memory_timeline import memory_timeline
from pagedviz.figures.picture import picture
from pagedviz.figures.policies import hit_rates
from pagedviz.figures.request_lanes import request_lanes
from pagedviz.figures.reuse_distances import reuse_distances
from pagedviz.figures.summary import memory_summary, summary
from pagedviz.figures.theme import Theme, theme

__all__ = [
    "Theme",
    "block_lifetimes",
    "block_map",
    "fragmentation",
    "hit_rates",
    "memory_summary",
    "memory_timeline",
    "picture",
    "request_lanes",
    "reuse_distances",
    "summary",
    "theme",
]
