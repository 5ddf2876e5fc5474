"""An engine's numbers for Prometheus, under the names that vLLM and SGLang give them, so that their boards work.

Only names and help texts are decided here; the numbers are those of ``facts.engine_stats``, read when somebody
asks. The endpoint listens on the loopback interface alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from threading import Thread
from typing import Any, NamedTuple, Self
from wsgiref.simple_server import WSGIServer


class Metric(NamedTuple):
    """One number: its name outside, whether it only grows, and what it is."""

    name: str
    counts: bool
    help: str


METRICS: dict[str, tuple[Metric, ...]] = {
    "num_requests_running": (Metric("vllm:num_requests_running", False, "Requests that run."),),
    "num_requests_waiting": (Metric("vllm:num_requests_waiting", False, "Requests that wait without blocks."),),
    "num_requests_swapped": (Metric("vllm:num_requests_swapped", False, "Requests swapped out to the host tier."),),
    "num_requests_finished": (Metric("pagedviz:requests_finished", True, "Requests that ended."),),
    "num_preemptions": (
        Metric("vllm:num_preemptions", True, "Running requests whose blocks were taken away."),
        Metric("sglang:num_retracted_reqs", False, "Running requests whose blocks were taken away."),
    ),
    "num_preemptions_swap": (Metric("pagedviz:preemptions_swap", True, "Preemptions by swap."),),
    "prompt_tokens": (Metric("vllm:prompt_tokens", True, "Prompt tokens that were prefilled or found."),),
    "generation_tokens": (Metric("vllm:generation_tokens", True, "Tokens that were generated."),),
    "lost_tokens": (Metric("pagedviz:lost_tokens", True, "Tokens whose K and V preemption gave up."),),
    "recomputed_tokens": (Metric("pagedviz:recomputed_tokens", True, "Tokens computed again after preemption."),),
    "prefix_cache_queries": (Metric("vllm:prefix_cache_queries", True, "Tokens looked for in the prefix cache."),),
    "prefix_cache_hits": (Metric("vllm:prefix_cache_hits", True, "Tokens found there; never recomputed ones."),),
    "cache_hit_rate": (Metric("sglang:cache_hit_rate", False, "Share of the looked-for tokens that were found."),),
    "copied_blocks": (Metric("pagedviz:copied_blocks", True, "Blocks copied on write."),),
    "evicted_blocks": (
        Metric("pagedviz:evicted_blocks", True, "Cached blocks evicted in either tier, also those that went down."),
    ),
    "evicted_tokens": (Metric("sglang:evicted_tokens", True, "Tokens in these evicted blocks."),),
    "swapped_out_blocks": (Metric("pagedviz:swapped_out_blocks", True, "Blocks copied to the host tier."),),
    "swapped_in_blocks": (Metric("pagedviz:swapped_in_blocks", True, "Blocks copied back to the device."),),
    "swapped_bytes": (Metric("pagedviz:swapped_bytes", True, "Bytes copied between the tiers."),),
    "swap_seconds": (Metric("pagedviz:swap_seconds", True, "Time spent on these copies."),),
    "kv_cache_usage_perc": (
        Metric("vllm:kv_cache_usage_perc", False, "Share of device blocks that are owned (cached ones are not)."),
        Metric("vllm:gpu_cache_usage_perc", False, "The same, by its older name."),
        Metric("sglang:token_usage", False, "The same."),
    ),
    "cpu_cache_usage_perc": (Metric("vllm:cpu_cache_usage_perc", False, "Share of host blocks that are owned."),),
    "used_tokens": (Metric("sglang:kv_used_tokens", False, "Device slots that hold a sequence's token."),),
    "cached_tokens": (Metric("sglang:kv_evictable_tokens", False, "Device slots of cached blocks."),),
    "free_tokens": (Metric("sglang:kv_available_tokens", False, "Device slots of free blocks."),),
    "internal_waste_tokens": (
        Metric("pagedviz:internal_waste_tokens", False, "Device slots of owned blocks that hold nothing yet."),
    ),
    "host_used_tokens": (Metric("sglang:hicache_host_used_tokens", False, "Host slots that hold a token."),),
    "host_total_tokens": (Metric("sglang:hicache_host_total_tokens", False, "Host slots."),),
}
"""Key of ``engine.stats()`` -> its names. Counters get ``_total`` behind their name, as Prometheus wants it."""

Stats = Callable[[], Mapping[str, float]]


class EngineCollector:
    """Asks the engine when Prometheus asks. Registered with a registry of its own, never the global one."""

    def __init__(self, stats: Stats, model: str) -> None:
        self._stats = stats
        self._model = model

    def collect(self) -> Iterator[Any]:
        """Every metric with its present value."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        stats = self._stats()
        for key, metrics in METRICS.items():
            for metric in metrics:
                family = CounterMetricFamily if metric.counts else GaugeMetricFamily
                sample = family(metric.name, metric.help, labels=["model_name"])
                sample.add_metric([self._model], stats[key])
                yield sample


class MetricsServer:
    """A Prometheus text endpoint. ``close`` ends it; so does leaving a ``with`` block.

    Each call of ``Engine.serve_metrics`` makes one more, on a port of its own.

    Attributes:
        url: where it can be read; the port is in it.
    """

    def __init__(self, stats: Stats, model: str, port: int) -> None:
        from prometheus_client import CollectorRegistry, start_http_server

        registry = CollectorRegistry()
        registry.register(EngineCollector(stats, model))
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
        self._server: WSGIServer = server
        self._thread: Thread = thread
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"

    def __repr__(self) -> str:
        return f"MetricsServer({self.url}{', closed' if not self._thread.is_alive() else ''})"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self.close()
