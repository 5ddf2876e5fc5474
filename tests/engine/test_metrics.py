"""Numbers for Prometheus: every metric has a number, and what is scraped is what the engine says."""

import urllib.request

import pytest

import pagedviz as pv
from pagedviz.engine.metrics import METRICS
from pagedviz.errors import ConfigError


@pytest.fixture
def engine(tiny, make_prompt):
    engine = pv.Engine(tiny("llama"), block_size=4, num_device_blocks=17, num_host_blocks=20, preemption="swap")
    shared = make_prompt(12)
    engine.generate([[*shared, i] for i in range(2, 8)], temperature=0.0, max_tokens=12, ignore_eos=True)
    return engine


def scrape(url):
    """Metric name -> value."""
    lines = urllib.request.urlopen(url, timeout=10).read().decode().splitlines()
    return {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def test_what_is_scraped_is_what_the_engine_says(engine):
    stats = engine.stats()
    assert stats["num_preemptions_swap"] > 0
    assert stats["prefix_cache_hits"] > 0
    with engine.serve_metrics() as server:
        told = scrape(server.url)
    for key, metrics in METRICS.items():
        for metric in metrics:
            assert told[metric.name + "_total" * metric.counts] == stats[key]


def test_the_endpoint_is_on_this_machine_only_and_ends_with_close(engine):
    server = engine.serve_metrics()
    assert server.url.startswith("http://127.0.0.1:")
    scrape(server.url)
    server.close()
    with pytest.raises(OSError, match="refused"):
        scrape(server.url)


def test_numbers_are_read_when_they_are_asked_for(engine, make_prompt):
    with engine.serve_metrics() as server:
        before = scrape(server.url)["vllm:generation_tokens_total"]
        engine.generate(make_prompt(5), max_tokens=7, ignore_eos=True)
        assert scrape(server.url)["vllm:generation_tokens_total"] == before + 7


def test_a_port_that_cannot_be_had_is_told(engine):
    with engine.serve_metrics() as server, pytest.raises(ConfigError, match="cannot listen there"):
        engine.serve_metrics(int(server.url.split(":")[2].split("/")[0]))
    with pytest.raises(ConfigError, match="port=-1"):
        engine.serve_metrics(-1)


def test_the_slots_of_each_tier_add_up(engine):
    stats = engine.stats()
    for prefix in ("", "host_"):
        parts = ("used", "cached", "internal_waste", "free")
        assert sum(stats[f"{prefix}{part}_tokens"] for part in parts) == stats[f"{prefix}total_tokens"] > 0
