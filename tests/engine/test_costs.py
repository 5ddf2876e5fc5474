"""Swap or recompute: what each is taken to cost, and that the cheaper one is done."""

import pytest
from driving import GREEDY, PROMPTS, drive, of

from pagedviz.engine.schedule.costs import CostModel
from pagedviz.events import RequestPreempted


@pytest.fixture
def costs():
    """100 bytes and 5 tokens in a microsecond."""
    made = CostModel()
    made.saw_copy(100_000, 1000)
    made.saw_prefill(5000, 1000)
    return made


def test_before_anything_is_measured_a_victim_is_swapped():
    costs = CostModel()
    assert costs.choose(1, 1) == ("swap", "no speeds are measured yet")
    costs.saw_copy(1, 1)
    assert costs.choose(10**9, 1) == ("swap", "no speeds are measured yet")


def test_what_is_swapped_crosses_twice_and_a_tie_is_swapped(costs):
    words = "swapping takes about 20.0 ms, computing again {} ms"
    assert costs.choose(1_000_000, 100_000) == ("swap", words.format("20.0"))
    assert costs.choose(1_000_000, 101_000) == ("swap", words.format("20.2"))
    assert costs.choose(1_000_000, 99_000) == ("recompute", words.format("19.8"))


def test_the_newest_measurement_counts_for_three_tenths(costs):
    costs.saw_copy(200_000, 1000)  # 0.7 * 100 + 0.3 * 200 bytes in a microsecond
    costs.saw_prefill(15_000, 1000)  # 0.7 * 5 + 0.3 * 15 tokens
    assert costs.choose(1_300_000, 160_000)[1] == "swapping takes about 20.0 ms, computing again 20.0 ms"


def test_what_copied_or_computed_nothing_is_no_measurement(costs):
    before = costs.choose(10_000, 1000)
    costs.saw_copy(0, 50)
    costs.saw_prefill(0, 50)
    assert costs.choose(10_000, 1000) == before


def test_what_took_less_than_a_microsecond_counts_as_one():
    costs = CostModel()
    costs.saw_copy(1000, 0)
    costs.saw_prefill(1000, 0)
    assert costs.choose(500_000, 1_000_000)[1] == "swapping takes about 1.0 ms, computing again 1.0 ms"


@pytest.mark.parametrize(("copied", "mode"), [(10**15, "swap"), (1, "recompute")])
def test_the_engine_does_what_costs_less(watched, copied, mode):
    """Copies a thousand million times faster or slower than any prefill."""
    engine, events = watched(num_device_blocks=14, num_host_blocks=40, preemption="auto")
    engine._core.costs.saw_copy(copied, 10**6)
    engine._core.costs.saw_prefill(1, 1000)
    drive(engine, [engine.add_request(list(prompt), **GREEDY) for prompt in PROMPTS[:4]])
    preempted = of(events, RequestPreempted)
    assert preempted
    assert {event.mode for event in preempted} == {mode}
    assert all("swapping takes about" in event.reason for event in preempted)
