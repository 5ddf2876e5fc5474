"""Logical position -> slot: a plan and the block tables become one step's tensors.

The only place on the host with that formula: ``slot = block * block_size + position % block_size``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pagedviz.attention import GroupTables, PagedBatch
from pagedviz.engine.schedule.plan import Scheduled
from pagedviz.events.codec import LayerGroup
from pagedviz.memory import BlockManager


def build_batch(
    items: Sequence[Scheduled], manager: BlockManager, groups: Sequence[LayerGroup], device: torch.device
) -> PagedBatch:
    """The tensors of one step; ``items`` are in ``scheduler.order``'s order, and have their blocks."""
    num_decodes = sum(item.count == 1 for item in items)
    positions = np.concatenate([np.arange(item.start, item.start + item.count) for item in items])
    tokens = [token for item in items for token in item.sequence.tokens[item.start : item.start + item.count]]
    ends = np.cumsum([item.count for item in items])
    rows = [end - item.count + at for item, end in zip(items, ends, strict=True) for at in item.wanted]

    def tensor(values: Sequence[int] | np.ndarray, dtype: torch.dtype) -> torch.Tensor:
        return torch.as_tensor(values, dtype=dtype).to(device)

    return PagedBatch(
        input_ids=tensor(tokens, torch.int64),
        positions=tensor(positions, torch.int64),
        rows=tensor(rows, torch.int64),
        num_decodes=num_decodes,
        context_lens=tensor([item.start + item.count for item in items], torch.int32),
        query_starts=tensor([0, *(ends[num_decodes:] - num_decodes)], torch.int32),
        groups=tuple(
            _group_tables(items, positions, manager, group, spec.window, device)
            for group, spec in enumerate(groups)
        ),
    )


def _group_tables(
    items: Sequence[Scheduled],
    positions: np.ndarray,
    manager: BlockManager,
    group: int,
    window: int | None,
    device: torch.device,
) -> GroupTables:
    size = manager.block_size
    rows = [manager.tables(item.sequence.id)[group] for item in items]
    tables = np.full((len(items), max(map(len, rows))), -1, dtype=np.int32)
    for index, row in enumerate(rows):
        tables[index, : len(row)] = row
    owner = np.repeat(np.arange(len(items)), [item.count for item in items])
    slots = tables[owner, positions // size].astype(np.int64) * size + positions % size
    read = [0, 0]
    for item in items:
        first = 0 if window is None else max(0, item.start + 1 - window) // size
        read[item.count > 1] += -(-(item.start + item.count) // size) - first
    return GroupTables(torch.from_numpy(slots).to(device), torch.from_numpy(tables).to(device), (read[0], read[1]))
