"""An engine in numbers: what a trace's header says of it, and its counters. Reads, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pagedviz._version import __version__
from pagedviz.engine.config import EngineConfig
from pagedviz.engine.core import EngineCore
from pagedviz.events.codec import EngineInfo


def engine_info(model: Any, core: EngineCore, config: EngineConfig) -> EngineInfo:
    """What a trace's header says."""
    spec, cache, device = core.runner.model.spec, core.runner.cache, core.runner.device
    return EngineInfo(
        model=Path(getattr(model, "name_or_path", "")).name or type(model).__name__,
        block_size=config.block_size,
        num_device_blocks=config.num_device_blocks,
        num_host_blocks=config.num_host_blocks,
        groups=spec.groups,
        num_kv_heads=spec.num_kv_heads,
        head_dim=spec.head_dim,
        dtype=str(cache.keys.dtype).removeprefix("torch."),
        device=str(device),
        simulated=device.type == "cpu",
        attention=core.runner.backend,
        bytes_per_block=cache.bytes_per_block,
        pagedviz=__version__,
    )


def engine_stats(core: EngineCore, config: EngineConfig) -> dict[str, float]:
    """Counters and gauges, named as vLLM's metrics where it has one."""
    free = core.manager.pool.num_free
    return {
        "steps": core.steps,
        "num_requests_running": len(core.scheduler.running),
        "num_requests_waiting": len(core.scheduler.waiting),
        "num_preemptions": core.preemptions,
        "prompt_tokens": core.prompt_tokens,
        "generation_tokens": core.generation_tokens,
        "num_free_blocks": free,
        "kv_cache_usage_perc": 1 - free / config.num_device_blocks,
    }
