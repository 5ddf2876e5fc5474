"""Copies of whole blocks between the device tier and the host tier, many blocks at once. Knows no sequence.

With an accelerator, copies run on a stream of their own, after the kernels launched so far; the next step's
kernels wait for them. Without one, both tiers are in RAM, and a copy is done when ``run`` returns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import torch

from pagedviz.attention.paged import KVCache


class Transfer:
    """Moves blocks between two pools of equal shape but for their number of blocks."""

    def __init__(self, kernels: ModuleType, device: KVCache, host: KVCache) -> None:
        self._kernels = kernels
        self._device, self._host = device, host
        cuda: Any = torch.cuda
        where = device.keys.device
        self._stream: Any = cuda.Stream(where) if where.type == "cuda" else None

    def run(self, direction: str, pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Copy blocks, keys and values of all layers; returns bytes copied and microseconds taken.

        Args:
            direction: ``"out"``: device blocks to host blocks; ``"in"``: host blocks to device blocks.
            pairs: (source block, target block).
        """
        source, target = (self._device, self._host) if direction == "out" else (self._host, self._device)
        index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
        began = time.perf_counter_ns()
        cuda: Any = torch.cuda
        with nullcontext() if self._stream is None else cuda.stream(self._stream):
            if self._stream is not None:
                self._stream.wait_stream(cuda.default_stream(self._device.keys.device))
            self._kernels.swap_blocks(source.keys, target.keys, index)
            self._kernels.swap_blocks(source.values, target.values, index)
        if self._stream is not None:
            # The host pool is read and written by the host, and freed blocks are handed out at once.
            self._stream.synchronize()
        return source.bytes_per_block * len(pairs), (time.perf_counter_ns() - began) // 1000
