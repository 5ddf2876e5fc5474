"""What the prefix cache finds and misses, in one tier and in two, and what its events say of it."""

import pytest
from driving import COUNT, GREEDY, PROMPTS, SIZE, SYSTEM, drive, of, run, same

import pagedviz as pv
from pagedviz.commands.options import show_memory
from pagedviz.events import (
    BlockAllocated,
    BlockCached,
    BlockEvicted,
    BlockShared,
    PrefixCacheReset,
    PrefixHit,
    PrefixMissed,
    RequestPreempted,
    RequestScheduled,
    StepFinished,
    SwappedIn,
    SwappedOut,
)
from pagedviz.memory import POLICIES
from pagedviz.memory.content import chained_hashes
from pagedviz.trace.analysis.computed import computed_tokens

LIVE = sorted(name for name, policy in POLICIES.items() if policy.live)


@pytest.mark.parametrize(("length", "blocks"), [(4, 0), (5, 1), (12, 2), (13, 3), (14, 3), (16, 3), (17, 4)])
def test_what_is_found_is_not_computed(watched, model, reference, length, blocks):
    prompt = PROMPTS[3][:length]
    engine, events = watched()
    first = run(engine, prompt, 3)
    del events[:]
    assert run(engine, prompt, 3) == first
    assert same(first, model, prompt, reference)
    hits = [(e.blocks, e.tokens, e.from_host, e.resumed) for e in of(events, PrefixHit)]
    assert hits == ([(blocks, blocks * SIZE, 0, False)] if blocks else [])
    assert sum(event.prefill_tokens for event in of(events, StepFinished)) == length - blocks * SIZE
    before = events[: events.index(of(events, StepFinished)[0])]
    assert len(of(before, BlockShared)) == blocks
    assert [e.reason for e in of(events, PrefixMissed)] == ([] if blocks else ["shorter than a block"])
    stats = engine.stats()
    assert (stats["prefix_cache_queries"], stats["prefix_cache_hits"]) == (2 * length, blocks * SIZE)
    assert stats["prompt_tokens"] == 2 * length


def test_a_hit_shares_the_blocks_of_who_still_runs(watched):
    engine, events = watched()
    engine.add_request(list(PROMPTS[0]), **GREEDY)
    engine.step()
    engine.add_request(list(PROMPTS[2]), **GREEDY)
    engine.step()
    engine.audit()
    one, two = (sequence.tables[0] for sequence in engine.snapshot().sequences.values())
    assert one[:3] == two[:3]
    assert one[3] != two[3]
    assert [event.refcount for event in of(events, BlockShared)] == [2, 2, 2]
    (hit,) = of(events, PrefixHit)
    assert (hit.request, hit.blocks, hit.tokens) == ("r1", 3, 12)
    missed = [(e.request, e.tokens, e.reason) for e in of(events, PrefixMissed)]
    assert missed == [("r0", 17, "no such prefix")]  # all three full blocks of the second were found


def test_generated_tokens_are_found_too(watched):
    """As the next turn of a conversation."""
    engine, events = watched()
    prompt = list(SYSTEM)
    answer = run(engine, prompt, 11)
    del events[:]
    run(engine, [*prompt, *answer, 1, 2, 3], 2)
    (hit,) = of(events, PrefixHit)
    assert hit.tokens == (len(prompt) + 10) // SIZE * SIZE, "the last token that was drawn has no K and V"


def test_two_that_fill_the_same_block_in_one_step_end_with_one(watched, model, reference):
    engine, events = watched(num_device_blocks=20)
    prompt = PROMPTS[3][:8]
    ids = [engine.add_request(list(prompt), **GREEDY) for _ in range(3)]
    engine.step()
    engine.audit()
    tables = [sequence.tables[0] for sequence in engine.snapshot().sequences.values()]
    assert tables[0] == tables[1] == tables[2]
    assert engine.stats()["num_free_blocks"] == 20 - 2
    assert not of(events, PrefixHit)
    for output in drive(engine, ids)[0]:
        assert same(list(output.outputs[0].token_ids), model, prompt, reference)
    assert engine.stats()["prefix_cache_hits"] == 0


def test_salts_are_apart(watched):
    engine, events = watched()
    prompt = PROMPTS[3]
    (block, *_) = chained_hashes(prompt, SIZE, len(prompt), ())
    run(engine, prompt)
    run(engine, prompt, cache_salt="one")
    run(engine, prompt, cache_salt="two")
    run(engine, prompt[4:], cache_salt=block)  # as if its beginning were that block
    assert not of(events, PrefixHit)
    run(engine, prompt, cache_salt="two")
    run(engine, prompt)
    assert [event.blocks for event in of(events, PrefixHit)] == [6, 6]


def test_any_text_is_a_salt(watched):
    engine, events = watched()
    run(engine, PROMPTS[3], cache_salt="\ud800\U0001f600")
    run(engine, PROMPTS[3], cache_salt="\ud800\U0001f600")
    assert len(of(events, PrefixHit)) == 1


def test_a_miss_says_how_the_content_was_lost(watched):
    engine, events = watched(num_device_blocks=8)
    run(engine, PROMPTS[3][:9])
    run(engine, PROMPTS[0][:17], 12)  # takes 7 blocks, so one of the two is evicted
    evicted = of(events, BlockEvicted)
    assert evicted
    step = {e.hash: engine.stats()["steps"] for e in evicted}
    assert len(step) == len(evicted)
    del events[:]
    run(engine, PROMPTS[3][:9])
    (missed,) = of(events, PrefixMissed)
    assert missed.reason.startswith("evicted at step ")
    assert missed.reason.endswith(" by lru")


def test_a_miss_names_the_latest_loss_of_either_tier(watched):
    """Lost first in the host tier, computed again, and lost then on the device, which does not pass it on."""
    engine, events = watched(num_device_blocks=4, num_host_blocks=1, placement="reused")
    prompt, others = PROMPTS[3][:5], [PROMPTS[0], tuple(range(100, 113)), tuple(range(120, 133))]
    run(engine, prompt)
    run(engine, prompt)
    run(engine, others[0][:13])  # the block was found once, so it goes down
    assert [event.tier for event in of(events, BlockEvicted)].count("host") == 0
    assert engine.stats()["num_cached_host_blocks"] == 1
    run(engine, others[1][:5])
    run(engine, others[1][:5])
    run(engine, others[2])  # this one takes its place there
    assert [event.tier for event in of(events, BlockEvicted)].count("host") == 1
    first = engine.stats()["steps"]
    run(engine, prompt)
    run(engine, others[0][:13])
    last = [event for event in of(events, BlockEvicted) if event.hash == chained_hashes(prompt, SIZE, 4, ())[0]]
    assert [event.tier for event in last] == ["device", "host", "device"]
    del events[:]
    run(engine, prompt)
    (missed,) = of(events, PrefixMissed)
    lost = int(missed.reason.split()[3])
    assert first < lost <= engine.stats()["steps"]


def test_a_resumed_request_finds_its_own_blocks_and_that_is_no_hit(watched, model, make_prompt, reference):
    engine, events = watched(num_device_blocks=int(1.3 * (20 + COUNT) / SIZE), preemption="recompute")
    ids = [engine.add_request(make_prompt(20, i), **GREEDY) for i in range(5)]
    drive(engine, ids)
    again = [event for event in of(events, PrefixHit) if event.resumed]
    assert again
    assert not [event for event in of(events, PrefixHit) if not event.resumed]
    stats = engine.stats()
    assert stats["prefix_cache_hits"] == 0
    assert stats["prefix_cache_queries"] == 5 * 20
    lost = sum(event.tokens_lost for event in of(events, RequestPreempted))
    assert stats["lost_tokens"] == lost
    assert stats["recomputed_tokens"] == lost - sum(event.tokens for event in again) > 0


def test_a_summary_that_cannot_tell_what_is_computed_again_says_both(watched, make_prompt, capsys):
    engine, _ = watched(num_device_blocks=int(1.3 * (20 + COUNT) / SIZE), preemption="recompute")
    ids = [engine.add_request(make_prompt(20, i), **GREEDY) for i in range(4)]
    engine.step()
    with pv.record(engine) as end:
        drive(engine, ids)
    assert computed_tokens(end.trace, end.trace.last_step) is None
    show_memory(end.trace.state_at(end.trace.last_step), end.trace)
    told = capsys.readouterr().out
    assert "of prompts or computed again" in told
    assert "found nothing" not in told


@pytest.mark.parametrize("n", [1, 2])
def test_the_summary_of_a_whole_run_adds_up(watched, make_prompt, capsys, n):
    engine, _ = watched(num_device_blocks=int(1.3 * n * (20 + COUNT) / SIZE), preemption="recompute")
    with pv.record(engine) as recording:
        params = {**GREEDY, "temperature": 1.0 * (n > 1), "n": n}
        drive(engine, [engine.add_request(make_prompt(20, i), **params) for i in range(4)])
    trace, stats = recording.trace, engine.stats()
    again = sum(event.tokens for event in of(trace.events, PrefixHit) if event.resumed)
    computed = computed_tokens(trace, trace.last_step)
    assert computed == (4 * 20, 4 * n * (COUNT - 1), stats["recomputed_tokens"], again)
    assert min(computed) > 0
    show_memory(trace.state_at(trace.last_step), trace)
    told = capsys.readouterr().out
    assert f"tokens: 80 of prompts computed, {4 * n * (COUNT - 1)} of answers, and {computed.again} of both" in told
    assert f"0 % of 80 tokens of new requests found, {again} tokens found again by resumed ones" in told
    assert "found nothing" not in told
    early = computed_tokens(trace, 1)
    assert early.prompts > early.again == 0


def test_a_reset_forgets_every_name_and_leaves_running_requests_alone(watched, model, reference):
    engine, events = watched(num_device_blocks=24, num_host_blocks=8)
    run(engine, PROMPTS[0])
    ids = [engine.add_request(list(prompt), **GREEDY) for prompt in PROMPTS[1:4]]
    for _ in range(4):
        engine.step()
    cached = engine.stats()["num_cached_blocks"] + engine.stats()["num_cached_host_blocks"]
    assert engine.reset_prefix_cache() == cached > 0
    engine.audit()
    assert [event.blocks for event in of(events, PrefixCacheReset)] == [cached]
    assert engine.stats()["num_cached_blocks"] == 0
    for prompt, output in zip(PROMPTS[1:4], drive(engine, ids)[0], strict=True):
        assert same(list(output.outputs[0].token_ids), model, prompt, reference)
    del events[:]
    run(engine, PROMPTS[0])
    assert [event.reason for event in of(events, PrefixMissed)] == ["no such prefix"]
    assert engine.reset_prefix_cache() > 0
    assert engine.reset_prefix_cache() == 0
    engine.audit()


@pytest.mark.parametrize("when", range(3, 24, 3))
def test_a_reset_may_come_while_requests_are_swapped_out(watched, model, reference, when):
    engine, events = watched(num_device_blocks=17, num_host_blocks=30, preemption="swap")
    ids = [engine.add_request(list(prompt), **GREEDY) for prompt in PROMPTS]

    def reset(step):
        if step == when:
            engine.reset_prefix_cache()
            engine.audit()

    for prompt, output in zip(PROMPTS, drive(engine, ids, call=reset)[0], strict=True):
        assert same(list(output.outputs[0].token_ids), model, prompt, reference)
    assert of(events, SwappedIn)


def test_without_a_cache_nothing_is_looked_for_or_kept(watched):
    engine, events = watched(prefix_caching=False, num_host_blocks=8)
    for _ in range(2):
        run(engine, PROMPTS[0], 4)
    for kind in (PrefixHit, PrefixMissed, BlockCached, BlockEvicted):
        assert not of(events, kind)
    assert engine.stats()["prefix_cache_queries"] == 0


# -- two levels -------------------------------------------------------------------------------------------------


def test_what_is_evicted_goes_down_and_comes_up_again(watched, model, reference):
    engine, events = watched(num_device_blocks=8, num_host_blocks=12)
    prompt, other = PROMPTS[3][:14], tuple(range(100, 131))
    first = run(engine, prompt)
    del events[:]
    run(engine, other, 2)
    down = of(events, SwappedOut)
    assert {event.request for event in down} == {""}
    assert sum(len(event.pairs) for event in down) == 3
    assert [event.tier for event in of(events, BlockEvicted)] == ["device"] * 3
    assert engine.stats()["num_cached_host_blocks"] == 3
    del events[:]
    assert run(engine, prompt) == first
    (hit,) = of(events, PrefixHit)
    assert (hit.blocks, hit.tokens, hit.from_host) == (3, 12, 3)
    (up,) = of(events, SwappedIn)
    assert (up.request, len(up.pairs)) == (hit.request, 3)
    assert [e.reason for e in of(events, BlockAllocated)].count("prefix_hit") == 3
    assert sum(event.prefill_tokens for event in of(events, StepFinished)) == 2
    assert same(first, model, prompt, reference)


def test_a_hit_may_begin_on_the_device_and_go_on_in_the_host_tier(watched, model, reference):
    engine, events = watched(num_device_blocks=8, num_host_blocks=12, eviction="lru")
    prompt = PROMPTS[3][:18]
    first = run(engine, prompt, 2)
    run(engine, tuple(range(100, 121)), 2)  # 6 blocks: the last of the prompt's go first
    del events[:]
    assert run(engine, prompt, 2) == first
    (hit,) = of(events, PrefixHit)
    assert hit.blocks == 4
    assert 0 < hit.from_host < 4
    assert same(first, model, prompt, reference)


def test_two_that_want_the_same_block_of_the_host_tier_bring_it_up_once(watched, model, reference):
    engine, events = watched(num_device_blocks=10, num_host_blocks=12)
    prompt = PROMPTS[3][:14]
    run(engine, prompt, 2)
    run(engine, tuple(range(100, 139)), 2)
    del events[:]
    ids = [engine.add_request(list(prompt), **{**GREEDY, "max_tokens": 2}) for _ in range(2)]
    outputs, _ = drive(engine, ids)
    assert sorted(len(event.pairs) for event in of(events, SwappedIn)) == [3]
    assert [event.blocks for event in of(events, PrefixHit)] == [3, 3]
    for output in outputs:
        assert same(list(output.outputs[0].token_ids), model, prompt, reference)


def test_a_block_keeps_its_history_on_its_way_down_and_up(watched):
    engine, _ = watched(num_device_blocks=8, num_host_blocks=12)
    prompt, other = PROMPTS[3][:5], tuple(range(100, 129))
    key = (0, chained_hashes(prompt, SIZE, 4, ())[0])
    tiers = engine._core.manager.tiers
    run(engine, prompt)
    run(engine, prompt)
    before = tiers["device"].cache.find(key)
    assert (before.hits, before.born, before.used) == (1, 1, 2)
    run(engine, other)
    below = tiers["host"].cache.find(key)
    assert (below.hits, below.born, below.used) == (1, 1, 2)
    run(engine, prompt)
    above = tiers["device"].cache.find(key)
    assert tiers["host"].cache.find(key) is None
    assert (above.hits, above.born) == (2, 1)


def test_a_swapped_request_comes_back_with_its_names(watched, model, make_prompt, reference):
    engine, events = watched(
        num_device_blocks=int(1.3 * (20 + COUNT) / SIZE), num_host_blocks=40, preemption="swap"
    )
    ids = [engine.add_request(make_prompt(20, i), **GREEDY) for i in range(3)]
    outputs, _ = drive(engine, ids)
    for i, output in enumerate(outputs):
        assert same(list(output.outputs[0].token_ids), model, make_prompt(20, i), reference)
    out, back = ([e for e in of(events, kind) if e.request] for kind in (SwappedOut, SwappedIn))
    assert out
    assert sum(len(event.pairs) for event in out) == sum(len(event.pairs) for event in back)
    assert not [event for event in of(events, PrefixHit) if event.resumed], "nothing was computed again"
    resumed = [event.request for event in of(events, RequestScheduled) if event.resumed]
    assert resumed == [event.request for event in back]
    assert engine.stats()["recomputed_tokens"] == 0


def test_a_swapped_request_can_be_aborted(watched, make_prompt):
    engine, _ = watched(num_device_blocks=int(1.3 * (20 + COUNT) / SIZE), num_host_blocks=40, preemption="swap")
    ids = [engine.add_request(make_prompt(20, i), **GREEDY) for i in range(2)]
    while not engine.stats()["num_requests_swapped"]:
        engine.step()
    engine.audit()
    assert engine.abort(ids[1])
    engine.audit()
    drive(engine, ids[:1])
    stats = engine.stats()
    assert (stats["num_free_blocks"], stats["num_free_host_blocks"]) == (engine.config.num_device_blocks, 40)
