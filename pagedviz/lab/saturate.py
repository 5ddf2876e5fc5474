"""Figure 2 of the PagedAttention paper without a model: who makes what of the same memory.

Every allocator serves the same requests, in the same order, in a pool of the same size. Assumed:

* the queue is never empty (the paper's 2 requests a second are more than Orca can serve, so its queue grows).
  What is reported is the mean over the steps while some wait, but for the first: all begin at once, so a tenth
  of the requests and twice as many as are in memory must have ended before;
* every step gives every request in memory one token, and its prompt is there after the first. Steps count the
  same, however many requests they serve;
* 15,700 slots, as for OPT-13B, and lengths as in ``workloads``;
* queues and preemption as in ``serving``. Nothing keeps blocks back for those that run, so a paged request is
  preempted more than once on average. That costs time, which is not measured here, and no memory.

The figures that the paper prints are here too, to be compared with. Used slots come out within 1.2 points of
them, but for Pow2: 1.5 to 1.9 points above, with as many requests in memory as in the paper. Those that were
measured there were smaller: its bars give each of Pow2's 9.81 requests 715 slots in the end, and each of Max's 7
requests 756, whereas whoever serves all in order gets the same mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pagedviz.errors import ConfigError
from pagedviz.lab.holdings import WasteSplit
from pagedviz.lab.rivals import RIVALS
from pagedviz.lab.serving import Server
from pagedviz.lab.workloads import WORKLOADS, Request

NUM_SLOTS = 15_700
BLOCK_SIZE = 16
BLOCK_SIZES = (1, 8, 16, 32, 64, 128, 256)

PAPER: dict[str, dict[str, tuple[float | None, float]]] = {
    "sharegpt": {"max": (20.4, 7.00), "pow2": (26.8, 9.81), "oracle": (38.2, 13.62), "paged": (96.3, 30.42)},
    "alpaca": {"max": (None, 7.00), "pow2": (None, 43.24), "oracle": (None, 72.75), "paged": (None, 132.44)},
}
"""Workload -> allocator -> (% of slots used in figure 2, requests batched in figure 13), for OPT-13B.

The paged pools there were not saturated: vLLM kept up with the requests.
"""


@dataclass(frozen=True)
class WasteRow:
    """One allocator: means over the steps with a full queue.

    Attributes:
        rival: its name in ``RIVALS``.
        block_size: None for those that have no blocks.
        used, reserved, internal, external, free: % of all slots.
        held: requests in memory.
        preemptions: per request that was served.
        steps: how many the mean is over.
        paper_used, paper_held: what the paper measured, None where it did not.
    """

    rival: str
    block_size: int | None
    used: float
    reserved: float
    internal: float
    external: float
    free: float
    held: float
    preemptions: float
    steps: int
    paper_used: float | None = None
    paper_held: float | None = None


def saturate(server: Server, requests: Sequence[Request]) -> Iterator[WasteSplit]:
    """Serve all requests, queued from the beginning, and tell the split of every step while some wait."""
    for key, request in enumerate(requests):
        server.add(key, request)
    while True:
        server.step()
        if not server.waiting:
            return
        yield server.split()
        for tenant in tuple(server.held):
            known = tenant.known + 1
            if known > tenant.request.slots:
                server.end(tenant.key)
            else:
                server.grow(tenant.key, known)


def waste_row(
    rival: str, requests: Sequence[Request], num_slots: int, max_model_len: int, block_size: int = BLOCK_SIZE
) -> WasteRow:
    """Measure one allocator.

    Raises:
        ConfigError: the requests do not keep the pool full for long enough.
    """
    server = Server(RIVALS[rival](num_slots, max_model_len, block_size), max_model_len)
    totals, held, steps = [0] * 5, 0, 0
    for split in saturate(server, requests):
        ended = len(requests) - len(server.held) - len(server.waiting)
        if ended >= max(len(requests) / 10, 2 * len(server.held)):
            totals = [total + part for total, part in zip(totals, split, strict=True)]
            held += len(server.held)
            steps += 1
    if not steps:
        raise ConfigError(f"{len(requests)} requests do not fill {num_slots} slots for long: take more")
    return WasteRow(
        rival,
        block_size if rival == "paged" else None,
        *WasteSplit(*totals).percent(),
        held=held / steps,
        preemptions=server.preemptions / len(requests),
        steps=steps,
    )


def waste_table(
    workload: str = "sharegpt",
    num_requests: int = 2000,
    *,
    num_slots: int = NUM_SLOTS,
    block_sizes: Sequence[int] = BLOCK_SIZES,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[WasteRow]:
    """Serve the same requests with every allocator, and with paging in blocks of every size.

    Args:
        workload: a name in ``WORKLOADS``.
        num_requests: more take longer, and make the means steadier.
        num_slots: token slots of every pool.
        block_sizes: for paging.
        seed: of the workload.
        on_progress: told what is being served.

    Raises:
        ConfigError: there is no such workload, or it does not fill the pool.
    """
    if workload not in WORKLOADS:
        raise ConfigError(f"no workload {workload!r}; there are {', '.join(WORKLOADS)}")
    lengths = WORKLOADS[workload]
    requests = lengths.requests(num_requests, seed)
    runs = [(name, size) for name in RIVALS for size in (block_sizes if name == "paged" else (BLOCK_SIZE,))]
    rows = []
    for name, block_size in runs:
        on_progress(f"{name}, block size {block_size}" if name == "paged" else name)
        row = waste_row(name, requests, num_slots, lengths.max_model_len, block_size)
        if num_slots == NUM_SLOTS and block_size == BLOCK_SIZE:
            used, held = PAPER[workload][name]
            row = replace(row, paper_used=used, paper_held=held)
        rows.append(row)
    return rows
