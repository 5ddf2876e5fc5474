"""The tensors' side of a step: copies blocks, runs the model over paged memory. Knows no request."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from pagedviz.attention import KVCache, PagedBatch, StepAttention, Transfer, select_backend, select_transfer
from pagedviz.engine.config import EngineConfig
from pagedviz.errors import BackendUnavailable, ConfigError
from pagedviz.events import KernelLaunched
from pagedviz.memory.block_manager import Copy
from pagedviz.memory.moving import Moving, Pairs
from pagedviz.models import PagedModel
from pagedviz.models.devices import DTYPES


class Runner:
    """Owns the KV cache, and the kernels that read it.

    Raises:
        ConfigError: K and V cannot be kept in the model's dtype, or there is no memory for the pool.
        BackendUnavailable: the attention backend cannot run where the model is.
    """

    def __init__(self, model: PagedModel, config: EngineConfig) -> None:
        if model.dtype not in DTYPES:
            raise ConfigError(f"the model is in {model.dtype}: K and V are kept in {', '.join(map(str, DTYPES))}")
        self.model = model
        self.device = model.device
        self.backend, self.kernels = select_backend(config.attention, model.device)
        if self.backend == "triton" and model.device.type == "cpu" and model.dtype == torch.bfloat16:
            raise BackendUnavailable("Triton's interpreter computes bfloat16 wrongly: use dtype='float32'")
        self.cache = self._pool("num_device_blocks", config.num_device_blocks, config, self.device)
        host = self._pool("num_host_blocks", config.num_host_blocks, config, torch.device("cpu"))
        self._transfer: Transfer = select_transfer(self.kernels, self.cache, host)
        self._places = model.spec.places()

    def _pool(self, option: str, blocks: int, config: EngineConfig, device: torch.device) -> KVCache:
        spec = self.model.spec
        shape = (spec.num_lanes, blocks, config.block_size, spec.num_kv_heads, spec.head_dim)
        try:
            return KVCache(shape, self.model.dtype, device, pinned=blocks > 0 and device != self.device)
        except (RuntimeError, MemoryError) as error:  # torch's out-of-memory errors are RuntimeErrors
            raise ConfigError(f"{option}={blocks}: no memory for K and V of so many blocks ({error})") from error

    def move(self, direction: str, pairs: Pairs) -> Moving:
        """Copy the content of (source, target) blocks to the other tier: ``"out"`` of the device, or ``"in"``."""
        return self._transfer.run(direction, pairs)

    def settle(self) -> None:
        """Wait for the copies between the tiers that are under way."""
        self._transfer.settle()

    def copy(self, copies: Sequence[Copy]) -> list[KernelLaunched]:
        """Copy the content of blocks, all layers in one launch; returns what ran."""
        if not copies:
            return []
        began = time.perf_counter_ns()
        pairs = torch.tensor(copies, dtype=torch.int64, device=self.device)
        self.kernels.copy_blocks(self.cache.keys, self.cache.values, pairs)
        lanes, spent = len(self.cache.keys), time.perf_counter_ns() - began
        return [KernelLaunched("copy_blocks", (len(copies), lanes), 1, len(copies), spent // 1000)]

    def run(self, batch: PagedBatch) -> tuple[torch.Tensor, list[KernelLaunched]]:
        """Compute the batch: logits (num_rows, vocab_size), and which kernels ran."""
        attention = StepAttention(self.kernels, self.cache, self._places, batch)
        logits = self.model.forward(batch.input_ids, batch.positions, batch.rows, attention)
        return logits, attention.launches()
