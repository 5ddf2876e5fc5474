"""The tensors' side of a step: copies blocks, runs the model over paged memory. Knows no request."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pagedviz.attention import KVCache, PagedBatch, StepAttention, select_backend
from pagedviz.engine.config import EngineConfig
from pagedviz.errors import ConfigError
from pagedviz.events import KernelLaunched
from pagedviz.memory.block_manager import Copy
from pagedviz.models import PagedModel


class Runner:
    """Owns the KV cache, and the kernels that read it.

    Raises:
        BackendUnavailable: the attention backend cannot run where the model is.
        ConfigError: there is no memory for the pool.
    """

    def __init__(self, model: PagedModel, config: EngineConfig) -> None:
        self.model = model
        self.device = model.device
        self.backend, self._kernels = select_backend(config.attention, model.device)
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

    def copy(self, copies: Sequence[Copy]) -> None:
        """Copy the content of blocks, all layers in one launch."""
        if copies:
            pairs = torch.tensor(copies, dtype=torch.int64, device=self.device)
            self._kernels.copy_blocks(self.cache.keys, self.cache.values, pairs)

    def run(self, batch: PagedBatch) -> tuple[torch.Tensor, list[KernelLaunched]]:
        """Compute the batch: logits (num_rows, vocab_size), and which kernels ran."""
        attention = StepAttention(self._kernels, self.cache, self._places, batch)
        logits = self.model.forward(batch.input_ids, batch.positions, batch.rows, attention)
        return logits, attention.launches()
