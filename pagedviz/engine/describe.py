"""An engine in numbers: what a trace's header says of it, and its counters. Reads, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pagedviz._version import __version__
from pagedviz.engine.config import EngineConfig
from pagedviz.engine.core import EngineCore
from pagedviz.engine.request import RequestStatus
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
    """Counters and gauges, named as vLLM's metrics where it has one.

    ``num_free_blocks`` and ``kv_cache_usage_perc`` count cached blocks as free, as vLLM does: they can be handed
    out at once.
    """
    device, host, counters, scheduler = core.manager.device, core.manager.host, core.counters, core.scheduler
    swapped = sum(request.status is RequestStatus.SWAPPED for request in scheduler.waiting)
    return {
        "steps": core.steps,
        "num_requests_running": len(scheduler.running),
        "num_requests_waiting": len(scheduler.waiting) - swapped,
        "num_requests_swapped": swapped,
        "num_preemptions": counters.preemptions,
        "num_preemptions_swap": counters.swaps,
        "prompt_tokens": counters.prompt_tokens,
        "generation_tokens": counters.generation_tokens,
        "recomputed_tokens": counters.recomputed_tokens,
        "prefix_cache_queries": counters.queried_tokens,
        "prefix_cache_hits": counters.hit_tokens,
        "num_free_blocks": device.num_available,
        "num_cached_blocks": device.num_idle,
        "num_free_host_blocks": host.num_available,
        "num_cached_host_blocks": host.num_idle,
        "kv_cache_usage_perc": 1 - device.num_available / config.num_device_blocks,
        "cpu_cache_usage_perc": 1 - host.num_available / config.num_host_blocks if config.num_host_blocks else 0.0,
    }
