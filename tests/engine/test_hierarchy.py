"""Cache, swaps and policies decide who has memory; they never change a token, and everybody gets through.

By day each policy and each size is tried with one of the others, in turn; with PAGEDVIZ_NIGHTLY=1 with all.
"""

import itertools
import os
import random

import pytest
from driving import COUNT, GREEDY, PROMPTS, SIZE, drive, of, same

import pagedviz as pv
from pagedviz.engine.schedule.victims import VICTIMS
from pagedviz.events import BlockAllocated, BlockCached, BlockEvicted, RequestPreempted, RequestScheduled
from pagedviz.memory import PLACEMENTS, POLICIES

LIVE = sorted(name for name, policy in POLICIES.items() if policy.live)
NIGHTLY = os.environ.get("PAGEDVIZ_NIGHTLY") == "1"


def pairs(first, second):
    """Every value of both, in pairs: at night all, by day each value of the longer list once."""
    count = max(len(first), len(second))
    in_turn = [(first[(i + i // len(first)) % len(first)], second[i % len(second)]) for i in range(count)]
    return list(itertools.product(first, second)) if NIGHTLY else in_turn


def tight(family, most=25, count=COUNT):
    """A pool for one and a third of the longest request."""
    return -(-(most + count) // SIZE) * 4 // 3 * (2 if family == "gemma3" else 1)


def check(model, family, reference, seed, *, n=1, **options):
    prompts = list(PROMPTS)
    random.Random(seed).shuffle(prompts)
    options = {"num_device_blocks": tight(family), "num_host_blocks": 20, "max_num_batched_tokens": 33, **options}
    engine = pv.Engine(model, block_size=SIZE, **options)
    ids = [
        engine.add_request(list(prompt), n=n if index == 3 else 1, priority=index % 3, **GREEDY)
        for index, prompt in enumerate(prompts)
    ]
    outputs, _ = drive(engine, ids)
    for prompt, output in zip(prompts, outputs, strict=True):
        for sample in output.outputs:
            assert same(list(sample.token_ids), model, prompt, reference), prompt
    stats = engine.stats()
    assert stats["num_preemptions"] > 0
    assert stats["num_free_blocks"] == options["num_device_blocks"]
    assert stats["num_free_host_blocks"] == options["num_host_blocks"]
    return stats


@pytest.mark.parametrize(("family", "eviction"), pairs(["llama", "mistral", "gemma3"], LIVE))
def test_no_eviction_policy_changes_a_token(tiny, reference, family, eviction):
    seed = LIVE.index(eviction)
    preemption = ("swap", "auto", "recompute")[seed % 3]
    placement = sorted(PLACEMENTS)[seed // 3 % 3]
    stats = check(
        tiny(family), family, reference, seed, eviction=eviction, preemption=preemption, placement=placement, n=2
    )
    assert stats["evicted_blocks"] > 0


@pytest.mark.parametrize("victim", sorted(VICTIMS))
@pytest.mark.parametrize("preemption", ["swap", "recompute", "auto"])
@pytest.mark.parametrize("prefix_caching", [True, False], ids=["cache", "no cache"])
def test_no_way_to_preempt_changes_a_token(tiny, reference, prefix_caching, preemption, victim):
    family = ("llama", "gemma3")[prefix_caching]
    seed = sorted(VICTIMS).index(victim)
    options = {"prefix_caching": prefix_caching, "preemption": preemption, "victim": victim}
    stats = check(tiny(family), family, reference, seed, **options)
    assert (stats["num_preemptions_swap"] > 0) == (preemption != "recompute")


@pytest.mark.parametrize(
    ("placement", "sizes"), pairs(sorted(PLACEMENTS), list(itertools.product([13, 17, 24], [1, 6, 40])))
)
def test_no_size_of_the_tiers_changes_a_token(tiny, reference, placement, sizes):
    blocks, host = sizes
    check(
        tiny("llama"), "llama", reference, host, num_device_blocks=blocks, num_host_blocks=host, placement=placement
    )


@pytest.mark.parametrize("block_size", [1, 3, 16])
def test_no_size_of_the_blocks_changes_a_token(tiny, reference, block_size):
    model = tiny("llama")
    slots = -(-37 // block_size) * 4 // 3 + 1
    engine = pv.Engine(
        model, block_size=block_size, num_device_blocks=slots, num_host_blocks=2 * slots, preemption="swap"
    )
    ids = [engine.add_request(list(prompt), **GREEDY) for prompt in PROMPTS]
    outputs, _ = drive(engine, ids)
    for prompt, output in zip(PROMPTS, outputs, strict=True):
        assert same(list(output.outputs[0].token_ids), model, prompt, reference)
    assert engine.stats()["num_preemptions_swap"] > 0


def test_each_request_may_choose_how_it_is_preempted(watched, model, reference):
    engine, events = watched(num_device_blocks=17, num_host_blocks=40, preemption="auto")
    modes = ["swap", "recompute", "auto", None]
    ids = [
        engine.add_request(list(prompt), preemption=mode, **GREEDY)
        for prompt, mode in zip(PROMPTS, itertools.cycle(modes))
    ]
    outputs, _ = drive(engine, ids)
    for prompt, output in zip(PROMPTS, outputs, strict=True):
        assert same(list(output.outputs[0].token_ids), model, prompt, reference)
    seen = {(modes[ids.index(e.request) % 4], e.mode) for e in of(events, RequestPreempted)}
    assert ("swap", "recompute") not in seen
    assert ("recompute", "swap") not in seen
    assert {("swap", "swap"), ("recompute", "recompute")} <= seen


def test_samples_shorter_than_a_block_may_be_swapped_and_computed_again_by_turns(tiny, reference):
    model = tiny("llama")
    seen = set()
    for blocks, host in [(10, 3), (11, 4), (12, 6)]:
        engine = pv.Engine(
            model, block_size=SIZE, num_device_blocks=blocks, num_host_blocks=host, preemption="swap",
            max_num_batched_tokens=8, max_num_seqs=8, prefix_caching=False,
        )  # fmt: skip
        events = []
        engine.subscribe(lambda batch, events=events: events.extend(batch.events))
        params = {**GREEDY, "max_tokens": 10}
        ids = [engine.add_request(list(PROMPTS[3][: 3 + i]), n=1 + i % 2, **params) for i in range(5)]
        outputs, _ = drive(engine, ids)
        for i, output in enumerate(outputs):
            for sample in output.outputs:
                assert same(list(sample.token_ids), model, PROMPTS[3][: 3 + i], reference)
        seen |= {event.mode for event in of(events, RequestPreempted)}
    assert seen == {"swap", "recompute"}


@pytest.mark.parametrize("victim", sorted(VICTIMS))
@pytest.mark.parametrize("preemption", ["swap", "recompute", "auto"])
def test_twenty_requests_all_get_through_a_pool_for_little_more_than_one(
    watched, model, make_prompt, reference, preemption, victim
):
    host = 4 if victim == "newest" else 60
    options = {"num_device_blocks": int(1.3 * (20 + COUNT) / SIZE), "num_host_blocks": host}
    engine, _ = watched(preemption=preemption, victim=victim, max_num_batched_tokens=40, **options)
    ids = [engine.add_request(make_prompt(20, i), priority=i % 4, **GREEDY) for i in range(20)]
    outputs, steps = drive(engine, ids)
    for i, output in enumerate(outputs):
        assert same(list(output.outputs[0].token_ids), model, make_prompt(20, i), reference)
    assert steps <= 20 * (COUNT + 2), "the oldest gets a token in nearly every step"


def test_content_that_two_requests_bring_up_takes_its_blocks_once(watched, make_prompt):
    engine, events = watched(num_device_blocks=20, num_host_blocks=40, max_num_batched_tokens=64)
    shared = make_prompt(24)
    engine.generate([shared], max_tokens=1, temperature=0.0)
    for seed in range(1, 4):  # push it down
        engine.generate([make_prompt(60, seed)], max_tokens=1, temperature=0.0)
    finder = engine._core.manager.finder
    assert (finder.find(-1, [*shared, 3]).on_device, finder.find(-1, [*shared, 3]).found) == (0, 6)
    del events[:]
    ids = [engine.add_request([*shared, token, 9], max_tokens=1, temperature=0.0) for token in (3, 4, 5)]
    engine.step()
    engine.audit()
    assert [event.request for event in of(events, RequestScheduled)] == ids
    # 6 blocks that all three have, and one for each.
    assert sum(event.tier == "device" for event in of(events, BlockAllocated)) == 6 + 3
    assert sum(event.tier == "device" for event in of(events, BlockEvicted)) == 6 + 3


WORDS = {
    "always": {"it goes down to the host tier, as all do"},
    "never": {"it is given up, as all are"},
    "reused": {"it is given up: it was never found", "it goes down to the host tier: it was found once"},
}


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_an_eviction_says_why_its_content_goes_down_or_not(watched, make_prompt, placement):
    engine, events = watched(num_device_blocks=8, num_host_blocks=40, placement=placement)
    for prompt in (make_prompt(17), make_prompt(17), make_prompt(29, 1), make_prompt(29, 2)):
        engine.generate([prompt], max_tokens=1)
    evicted = [event for event in of(events, BlockEvicted) if event.tier == "device"]
    assert {event.why.split("; ")[1] for event in evicted} == WORDS[placement]
    below = {event.hash for event in of(events, BlockCached) if event.tier == "host"}
    assert {event.hash for event in evicted if "goes down" in event.why} == below


def test_a_full_host_tier_is_a_reason_too(watched, make_prompt):
    engine, events = watched(num_device_blocks=12, num_host_blocks=2)
    for seed in range(2):
        engine.generate([make_prompt(41, seed)], max_tokens=1)
    reasons = [event.why.split("; ")[1] for event in of(events, BlockEvicted) if event.tier == "device"]
    full, room = "it is given up: the host tier is full", "it goes down to the host tier, as all do"
    assert reasons == [room, room, *[full] * 7]
