"""Copies of whole blocks between the device tier and the host tier, many blocks at once. Knows no sequence.

With an accelerator, copies run on a stream of their own: it waits for the kernels launched so far, and the next
step's kernels wait for it (``wait``), while the host goes on planning. Without one, both tiers are in RAM and a
copy is done when ``run`` returns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from pagedviz.attention.paged import KVCache


class Transfer:
    """Moves blocks between two pools of equal shape but for their number of blocks."""

    def __init__(self, device: KVCache, host: KVCache) -> None:
        self._device, self._host = device, host
        where = device.keys.device
        self._accelerated = where.type == "cuda"
        cuda: Any = torch.cuda
        self._stream: Any = cuda.Stream(where) if self._accelerated else None

    def run(self, direction: str, pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Copy blocks, keys and values of all layers; returns bytes copied and microseconds taken.

        Args:
            direction: ``"out"``: device blocks to host blocks; ``"in"``: host blocks to device blocks.
            pairs: (source block, target block).
        """
        source, target = (self._device, self._host) if direction == "out" else (self._host, self._device)
        began = time.perf_counter_ns()
        if self._accelerated:
            with torch.cuda.stream(self._stream):
                self._stream.wait_stream(torch.cuda.default_stream(self._device.keys.device))
                _copy_across(source, target, pairs)
            self._stream.synchronize()
        else:
            _copy_in_ram(source, target, pairs)
        return source.bytes_per_block * len(pairs), (time.perf_counter_ns() - began) // 1000

    def wait(self) -> None:
        """Let what is launched from here on see the copies."""
        if self._accelerated:
            torch.cuda.default_stream(self._device.keys.device).wait_stream(self._stream)


def _copy_in_ram(source: KVCache, target: KVCache, pairs: Sequence[tuple[int, int]]) -> None:
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    for old, new in ((source.keys, target.keys), (source.values, target.values)):
        new.index_copy_(1, index[:, 1], old.index_select(1, index[:, 0]))


def _copy_across(source: KVCache, target: KVCache, pairs: Sequence[tuple[int, int]]) -> None:
    """Gather on the source's side, one copy over the bus through page-locked memory, scatter on the other side."""
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    sources, targets = index[:, 0].to(source.keys.device), index[:, 1].to(target.keys.device)
    for old, new in ((source.keys, target.keys), (source.values, target.values)):
        new.index_copy_(1, targets, old.index_select(1, sources).to(new.device))
