"""Copies of whole blocks between the device tier and the host tier, many blocks at once. Knows no sequence.

Without an accelerator both tiers are in RAM: a copy goes from pool to pool, and is done when ``run`` returns.
With one, blocks cross the bus as one tensor, through staging memory on both sides and beside the kernels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import torch
from pagedviz_kernels.checks import check_swap

from pagedviz.attention.copy_stream import CopyStream, CudaCopyStream
from pagedviz.attention.paged import KVCache

Pairs = Sequence[tuple[int, int]]


@dataclass
class Crossing:
    """A copy between the tiers, perhaps under way.

    Attributes:
        duration_us: 0 until the copy is settled; then the time on the bus, and what the host spent on gathering
            or scattering blocks.
    """

    num_bytes: int
    duration_us: int = 0


class Transfer(Protocol):
    """Moves blocks between two pools of equal shape but for their number of blocks."""

    def run(self, direction: str, pairs: Pairs) -> Crossing:
        """Copy blocks, keys and values of all layers. Kernels that are launched afterwards find it done.

        Args:
            direction: ``"out"``: device blocks to host blocks; ``"in"``: host blocks to device blocks.
            pairs: (source block, target block).

        Raises:
            ValueError: a pair names a block outside the pools; nothing was copied.
        """
        ...

    def settle(self) -> None:
        """Wait for the copies under way. What the host finds in its pool is right afterwards only."""
        ...


def select_transfer(kernels: ModuleType, device: KVCache, host: KVCache) -> Transfer:
    """The way between these pools: beside the kernels where there is a stream for it."""
    where = device.keys.device
    return Staged(device, host, CudaCopyStream(where)) if where.type == "cuda" else AtOnce(kernels, device, host)


class AtOnce:
    """From pool to pool."""

    def __init__(self, kernels: ModuleType, device: KVCache, host: KVCache) -> None:
        self._kernels = kernels
        self._device, self._host = device, host

    def run(self, direction: str, pairs: Pairs) -> Crossing:
        """See ``Transfer``."""
        source, target = (self._device, self._host) if direction == "out" else (self._host, self._device)
        index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
        began = time.perf_counter_ns()
        self._kernels.swap_blocks(source.keys, target.keys, index)
        self._kernels.swap_blocks(source.values, target.values, index)
        return Crossing(source.bytes_per_block * len(pairs), _since(began))

    def settle(self) -> None:
        """Nothing is ever under way."""


class Staged:
    """Through staging memory, so that only main reads and writes the device pool, and only the host its own.

    Out: main gathers the blocks, and may overwrite them from then on; they cross the bus beside the kernels of the
    step; the host puts them into its pool when the copy is settled. In: the step that follows needs the blocks,
    so main waits for them, and only what the host does meanwhile overlaps.

    Staging memory is as large as what crosses. What a copy still reads is held until it is settled, as torch's
    allocators would hand it out again; what it writes on the device is used, and given back, in main's own order.
    """

    def __init__(self, device: KVCache, host: KVCache, stream: CopyStream) -> None:
        self._device, self._host = device, host
        self._stream = stream
        self._down: list[_UnderWay] = []
        self._up: list[_UnderWay] = []

    def run(self, direction: str, pairs: Pairs) -> Crossing:
        """See ``Transfer``."""
        index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
        source, target = (self._device, self._host) if direction == "out" else (self._host, self._device)
        check_swap(source.keys, target.keys, index)
        crossing = Crossing(source.bytes_per_block * len(pairs))
        (self._out if direction == "out" else self._in)(crossing, *index.unbind(dim=1))
        return crossing

    def _out(self, crossing: Crossing, sources: torch.Tensor, targets: torch.Tensor) -> None:
        above, below = self._staging(len(sources))
        _gather(self._device, sources.to(above.device, non_blocking=True), above)
        ended = self._stream.launch(lambda: below.copy_(above, non_blocking=True), before_next=False)

        def land() -> None:
            on_bus = ended()
            began = time.perf_counter_ns()
            _scatter(below, self._host, targets)
            crossing.duration_us = on_bus + _since(began)

        self._down.append(_UnderWay(land, above))

    def _in(self, crossing: Crossing, sources: torch.Tensor, targets: torch.Tensor) -> None:
        _settle(self._down)  # the blocks may be among those that are on their way down
        above, below = self._staging(len(sources))
        began = time.perf_counter_ns()
        _gather(self._host, sources, below)
        on_host = _since(began)
        # What main is given after the copy waits for it, and a tensor on its way up could make the host wait too.
        index = targets.to(above.device, non_blocking=True)
        ended = self._stream.launch(lambda: above.copy_(below, non_blocking=True), before_next=True)
        _scatter(above, self._device, index)

        def land() -> None:
            crossing.duration_us = on_host + ended()

        self._up.append(_UnderWay(land, below))

    def settle(self) -> None:
        """See ``Transfer``."""
        _settle(self._down)
        _settle(self._up)

    def _staging(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(K and V, lanes, count, ...) on the device and on the host, page-locked as asynchronous copies demand."""
        pool = self._device.keys
        shape = (2, pool.shape[0], count, *pool.shape[2:])
        above = torch.empty(shape, dtype=pool.dtype, device=pool.device)
        return above, torch.empty(shape, dtype=pool.dtype, pin_memory=pool.device.type == "cuda")


@dataclass
class _UnderWay:
    """What is left to do when a copy has ended, and the staging memory that it needs until then."""

    land: Callable[[], None]
    held: torch.Tensor


def _gather(cache: KVCache, blocks: torch.Tensor, staging: torch.Tensor) -> None:
    for pool, part in zip((cache.keys, cache.values), staging, strict=True):
        torch.index_select(pool, 1, blocks, out=part)


def _scatter(staging: torch.Tensor, cache: KVCache, blocks: torch.Tensor) -> None:
    for pool, part in zip((cache.keys, cache.values), staging, strict=True):
        pool.index_copy_(1, blocks, part)


def _settle(under_way: list[_UnderWay]) -> None:
    """In order, as a host block may be the target of two of them. One that fails, or is interrupted, stays."""
    while under_way:
        under_way[0].land()
        del under_way[0]


def _since(began: int) -> int:
    return (time.perf_counter_ns() - began) // 1000
