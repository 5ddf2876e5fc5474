"""Experiments without a model: workloads, rival allocators, and where their memory goes. Needs no torch."""

from pagedviz.lab.beside import Record, Rivals, Standing
from pagedviz.lab.rivals import RIVALS, Rival
from pagedviz.lab.saturate import WasteRow, saturate, waste_row, waste_table
from pagedviz.lab.serving import Server
from pagedviz.lab.waste import Holding, WasteSplit
from pagedviz.lab.workloads import WORKLOADS, Request, Workload

__all__ = [
    "RIVALS",
    "WORKLOADS",
    "Holding",
    "Record",
    "Request",
    "Rival",
    "Rivals",
    "Server",
    "Standing",
    "WasteRow",
    "WasteSplit",
    "Workload",
    "saturate",
    "waste_row",
    "waste_table",
]
