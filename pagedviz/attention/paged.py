"""Attention of one step over paged memory: writes each layer's new K and V, then attends; times the kernels.

It knows tensors and tables, and nothing of requests or of who owns a block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import torch

from pagedviz.attention.batch import PagedBatch
from pagedviz.events import KernelLaunched


class KVCache:
    """One tier: K and V of all its blocks.

    Args:
        pinned: keep them in page-locked host memory, which an accelerator copies from and to by itself.

    Attributes:
        keys, values: (num_lanes, num_blocks, block_size, num_kv_heads, head_dim). A *lane* is a layer's place
            within its group, so that groups of layers share one pool of blocks.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int, int],
        dtype: torch.dtype,
        device: torch.device,
        *,
        pinned: bool = False,
    ) -> None:
        self.keys = torch.zeros(shape, dtype=dtype, device=device, pin_memory=pinned)
        self.values = torch.zeros(shape, dtype=dtype, device=device, pin_memory=pinned)

    @property
    def bytes_per_block(self) -> int:
        """K and V of all lanes of one block."""
        lanes, _, size, heads, dim = self.keys.shape
        return 2 * lanes * size * heads * dim * self.keys.element_size()


class StepAttention:
    """What the model calls in every layer of one step (``models.paged.LayerAttention``)."""

    def __init__(
        self, kernels: ModuleType, cache: KVCache, places: Mapping[int, tuple[int, int]], batch: PagedBatch
    ) -> None:
        self._kernels = kernels
        self._cache = cache
        self._places = places
        self._batch = batch
        self._spent: dict[str, list[int]] = {}

    def __call__(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> torch.Tensor:
        """Write this layer's K and V into their slots, then attend over the block tables."""
        kernels, batch = self._kernels, self._batch
        group, lane = self._places[layer]
        tables = batch.groups[group]
        keys, values = self._cache.keys[lane], self._cache.values[lane]
        self._timed("write_kv", 0, kernels.write_kv, key, value, keys, values, tables.slot_mapping)
        decodes = batch.num_decodes
        options: dict[str, Any] = {"scale": scale, "window": window, "softcap": softcap}
        parts = []
        if decodes:
            parts.append(
                self._timed(
                    "decode",
                    tables.blocks_read[0],
                    kernels.decode,
                    query[:decodes],
                    keys,
                    values,
                    tables.block_tables[:decodes],
                    batch.context_lens[:decodes],
                    **options,
                )
            )
        if decodes < len(batch.context_lens):
            parts.append(
                self._timed(
                    "prefill",
                    tables.blocks_read[1],
                    kernels.prefill,
                    query[decodes:],
                    keys,
                    values,
                    tables.block_tables[decodes:],
                    batch.context_lens[decodes:],
                    batch.query_starts,
                    **options,
                )
            )
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _timed(self, name: str, blocks: int, kernel: Callable[..., Any], *args: Any, **options: Any) -> Any:
        began = time.perf_counter_ns()
        result = kernel(*args, **options)
        spent = self._spent.setdefault(name, [0, 0, 0])
        spent[0] += 1
        spent[1] += blocks
        spent[2] += time.perf_counter_ns() - began
        return result

    def launches(self) -> list[KernelLaunched]:
        """What ran since the step began, summed over layers."""
        heads = self._cache.keys.shape[3]
        sequences = {
            "write_kv": len(self._batch.input_ids),
            "decode": self._batch.num_decodes,
            "prefill": len(self._batch.context_lens) - self._batch.num_decodes,
        }
        return [
            KernelLaunched(name, (sequences[name], heads), launches, blocks, nanoseconds // 1000)
            for name, (launches, blocks, nanoseconds) in self._spent.items()
        ]
