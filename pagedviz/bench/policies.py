"""Which eviction policy finds how much, as rows. ``lab.compare_policies`` serves and counts; nothing is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pagedviz.bench.rows import Rows
from pagedviz.errors import ConfigError
from pagedviz.lab import PREFIX_WORKLOADS, compare, groups_of, longest_step, pool_sizes, recorded_requests
from pagedviz.trace import Trace

BLOCK_SIZE = 16


def policies(
    workload: str | None,
    trace: str | None,
    block_size: int | None,
    load_trace: Callable[[str], Trace] = Trace.load,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Rows:
    """Share of the prompt tokens that every eviction policy finds in device tiers of several sizes. No model.

    Args:
        workload: a name in ``lab.PREFIX_WORKLOADS``; None: each in turn.
        trace: a file with the requests of a run instead, which has a block size.
        block_size: token slots per block; None: 16.
        load_trace: reads that file.
        on_progress: told what is being served.

    Raises:
        ConfigError: a trace with a workload or a block size.
    """
    if trace:
        for option, value in {"workload": workload, "block-size": block_size}.items():
            if value is not None:
                raise ConfigError(f"--{option} does not go with --trace, which has requests and a block size")
        run = load_trace(trace)
        served = {trace: recorded_requests(run)}
        options: dict[str, Any] = {
            "block_size": run.info.block_size,
            "num_groups": groups_of(run),
            "max_num_batched_tokens": longest_step(run),
        }
    else:
        names = [workload] if workload else list(PREFIX_WORKLOADS)
        served = {name: PREFIX_WORKLOADS[name].requests(1000) for name in names}
        options = {"block_size": BLOCK_SIZE if block_size is None else block_size}
    rows: list[dict[str, Any]] = []
    for name, requests in served.items():
        sizes = [size * options.get("num_groups", 1) for size in pool_sizes(requests, options["block_size"])]
        rows += [
            {
                "workload": name,
                "policy": row.policy,
                "num_blocks": row.num_blocks,
                "hit_rate": round(row.hit_rate, 4),
                "evictions": row.evictions,
            }
            for row in compare(requests, sizes, on_progress=on_progress, **options)
        ]
    return rows, True
