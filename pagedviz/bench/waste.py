"""The paper's figure 2 beside this machine's, as rows. ``lab.saturate`` serves and counts; nothing is timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from pagedviz.bench.rows import Rows
from pagedviz.lab import waste_table


def waste(workload: str, on_progress: Callable[[str], None] = lambda _: None) -> Rows:
    """Where the memory of every rival allocator goes, in % of its slots, beside the paper's figure 2. No model.

    Args:
        workload: a name in ``lab.WORKLOADS``.
        on_progress: told what is being served.
    """
    rows = [asdict(row) for row in waste_table(workload, on_progress=on_progress)]
    return [{k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()} for row in rows], True
