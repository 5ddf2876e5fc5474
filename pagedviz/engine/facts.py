"""An engine in numbers: what a trace's header says of it, and its counters. Reads, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pagedviz._version import __version__
from pagedviz.engine.asked import made_with
from pagedviz.engine.config import EngineConfig
from pagedviz.engine.core import EngineCore
from pagedviz.engine.request import RequestStatus
from pagedviz.events.codec import EngineInfo
from pagedviz.memory.tier import Tier
from pagedviz.trace.state import State
from pagedviz.values import sayable


def engine_info(model: Any, core: EngineCore, config: EngineConfig) -> EngineInfo:
    """What a trace's header says."""
    spec, cache, device = core.runner.model.spec, core.runner.cache, core.runner.device
    return EngineInfo(
        model=sayable(Path(getattr(model, "name_or_path", "")).name) or type(model).__name__,
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
        options=made_with(config),
    )


def engine_stats(core: EngineCore, events: State) -> dict[str, float]:
    """Counters and gauges; ``metrics`` says what each is and how vLLM or SGLang call it.

    What the events say is counted once, there.
    """
    counters, scheduler, told = core.counters, core.scheduler, events.counters
    swapped = sum(request.status is RequestStatus.SWAPPED for request in scheduler.waiting)
    stats: dict[str, float] = {
        "steps": core.steps,
        "num_requests_running": len(scheduler.running),
        "num_requests_waiting": len(scheduler.waiting) - swapped,
        "num_requests_swapped": swapped,
        "num_requests_finished": told.finished,
        "num_preemptions": told.preempted,
        "num_preemptions_swap": counters.swaps,
        "prompt_tokens": counters.prompt_tokens,
        "generation_tokens": counters.generation_tokens,
        "lost_tokens": told.lost_tokens,
        "recomputed_tokens": counters.recomputed_tokens,
        "prefix_cache_queries": counters.queried_tokens,
        "prefix_cache_hits": told.hit_tokens,
        "cache_hit_rate": told.hit_tokens / max(1, counters.queried_tokens),
        "copied_blocks": told.copied,
        "evicted_blocks": told.evicted,
        "evicted_tokens": told.evicted * events.block_size,
        "swapped_out_blocks": told.swapped_out,
        "swapped_in_blocks": told.swapped_in,
        "swapped_bytes": told.swapped_bytes,
        "swap_seconds": told.swap_us / 1e6,
    }
    return (
        stats
        | _tier_stats(core.manager.device, events, "", "kv")
        | _tier_stats(core.manager.host, events, "host_", "cpu")
    )


def _tier_stats(tier: Tier, events: State, prefix: str, cache: str) -> dict[str, float]:
    """A tier's blocks and slots. Free blocks and usage count cached blocks as free, as vLLM does: they can be
    handed out at once.
    """  # noqa: D205 - one sentence
    use, blocks = events.memory(tier.name), tier.pool.num_blocks
    return {
        f"num_free_{prefix}blocks": tier.num_available,
        f"num_cached_{prefix}blocks": tier.num_idle,
        f"{cache}_cache_usage_perc": 1 - tier.num_available / blocks if blocks else 0.0,
        f"{prefix}used_tokens": use.used,
        f"{prefix}cached_tokens": use.cached,
        f"{prefix}internal_waste_tokens": use.internal,
        f"{prefix}free_tokens": use.free,
        f"{prefix}total_tokens": use.total,
    }
