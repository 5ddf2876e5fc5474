"""Pictures of a state or a trace, as pure functions. plotly is imported when a plotly figure is asked for."""

from pagedviz.figures.picture.picture import picture
from pagedviz.figures.plotly.block_lifetimes import block_lifetimes
from pagedviz.figures.plotly.block_map import block_map
from pagedviz.figures.plotly.fragmentation import fragmentation
from pagedviz.figures.plotly.hit_rates import hit_rates
from pagedviz.figures.plotly.memory_timeline import memory_timeline
from pagedviz.figures.plotly.request_lanes import request_lanes
from pagedviz.figures.plotly.reuse_distances import reuse_distances
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
