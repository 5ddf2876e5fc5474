"""The tensors' side of a step: copies blocks, runs the model over paged memory. Knows no request."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from pagedviz.attention import KVCache, PagedBatch, StepAttention, select_backend
from pagedviz.engine.config import EngineConfig
from pagedviz.errors import BackendUnavailable, ConfigError
from pagedviz.events import KernelLaunched
from pagedviz.memory.block_manager import Copy
from pagedviz.models import PagedModel
from pagedviz.models.placement import DTYPES


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
        self.backend, self._kernels = select_backend(config.attention, model.device)
        if self.backend == "triton" and model.device.type == "cpu" and model.dtype == torch.bfloat16:
            raise BackendUnavailable("Triton's interpreter computes bfloat16 wrongly: use dtype='float32'")
        spec = model.spec
        shape = (
            spec.num_lanes,
            config.num_device_blocks,
            config.block_size,
            spec.num_kv_heads,
            spec.head_dim,
        )
        try:
            self.cache = KVCache(shape, model.dtype, model.device)
        except (RuntimeError, MemoryError) as error:  # torch's out-of-memory errors are RuntimeErrors
            raise ConfigError(
                f"num_device_blocks={config.num_device_blocks}: no memory for K and V of so many blocks ({error})"
            ) from error
        self._places = spec.places()

    def copy(self, copies: Sequence[Copy]) -> list[KernelLaunched]:
        """Copy the content of blocks, all layers in one launch; returns what ran."""
        if not copies:
            return []
        began = time.perf_counter_ns()
        pairs = torch.tensor(copies, dtype=torch.int64, device=self.device)
        self._kernels.copy_blocks(self.cache.keys, self.cache.values, pairs)
        lanes, spent = len(self.cache.keys), time.perf_counter_ns() - began
        return [KernelLaunched("copy_blocks", (len(copies), lanes), 1, len(copies), spent // 1000)]

    def run(self, batch: PagedBatch) -> tuple[torch.Tensor, list[KernelLaunched]]:
        """Compute the batch: logits (num_rows, vocab_size), and which kernels ran."""
        attention = StepAttention(self._kernels, self.cache, self._places, batch)
        logits = self.model.forward(batch.input_ids, batch.positions, batch.rows, attention)
        return logits, attention.launches()
