"""Experiments without a model: workloads, rival allocators and policies. Needs no torch."""

from pagedviz.lab.cache_replay import CacheReplay
from pagedviz.lab.compare_policies import Future, PolicyRow, compare, pool_sizes
from pagedviz.lab.holdings import Holding, WasteSplit
from pagedviz.lab.recorded import groups_of, longest_step, recorded_requests
from pagedviz.lab.reference_string import TEXTBOOK, Access, Replayed, replay
from pagedviz.lab.rivals import RIVALS, Rival
from pagedviz.lab.saturate import WasteRow, saturate, waste_row, waste_table
from pagedviz.lab.serving import Server
from pagedviz.lab.shadow import Record, Rivals, Standing
from pagedviz.lab.workloads import PREFIX_WORKLOADS, WORKLOADS, Chats, Request, TokenRequest, Workload

__all__ = [
    "PREFIX_WORKLOADS",
    "RIVALS",
    "TEXTBOOK",
    "WORKLOADS",
    "Access",
    "CacheReplay",
    "Chats",
    "Future",
    "Holding",
    "PolicyRow",
    "Record",
    "Replayed",
    "Request",
    "Rival",
    "Rivals",
    "Server",
    "Standing",
    "TokenRequest",
    "WasteRow",
    "WasteSplit",
    "Workload",
    "compare",
    "groups_of",
    "longest_step",
    "pool_sizes",
    "recorded_requests",
    "replay",
    "saturate",
    "waste_row",
    "waste_table",
]
