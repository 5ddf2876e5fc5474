"""Cache, swaps and policies decide who has memory; they never change a token. What their events say is exact."""

import itertools
import random

import pytest

import pagedviz as pv
from pagedviz.engine.victims import VICTIMS
from pagedviz.errors import PolicyError
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
from pagedviz.memory import PLACEMENTS, POLICIES
from pagedviz.memory.content import chained_hashes

SIZE = 4
COUNT = 12
TIE = 1e-4
LIVE = sorted(name for name, policy in POLICIES.items() if policy.live)
GREEDY = {"temperature": 0.0, "max_tokens": COUNT, "ignore_eos": True}
SYSTEM = [5, 17, 101, 3, 77, 42, 9, 150, 33, 8, 61, 12, 90, 4]
PROMPTS = [
    (*SYSTEM, 20, 21, 22),
    (7, 9),
    (*SYSTEM, 20, 99),
    tuple(range(30, 55)),
    (*SYSTEM, 20, 21, 22),
    tuple(range(30, 46)),
    SYSTEM[:13],
    (64, 65, 66, 67, 68),
]
"""Some share a beginning, one comes twice."""


@pytest.fixture
def model(tiny):
    return tiny("llama", num_hidden_layers=1)


@pytest.fixture
def watched(model):
    """``watched(**options)``: an engine and the list that its events go to."""

    def make(**options):
        engine = pv.Engine(model, **{"block_size": SIZE, "num_device_blocks": 64, **options})
        events = []
        engine.subscribe(lambda batch: events.extend(batch.events))
        return engine, events

    return make


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def drive(engine, ids, most=2000, call=None):
    """Step until these are done, with an audit after every step; their outputs, and how many steps it took.

    ``call`` is called before every step with the number of steps so far.
    """
    last, steps = {}, 0
    while engine.has_unfinished_requests():
        if call is not None:
            call(steps)
        for output in engine.step():
            last[output.request_id] = output
        engine.audit()
        steps += 1
        assert steps < most, "they never finish"
    return [last[name] for name in ids], steps


def run(engine, prompt, count=1, **params):
    """One request to its end; its tokens."""
    name = engine.add_request(list(prompt), **{**GREEDY, "max_tokens": count, **params})
    return list(drive(engine, [name])[0][0].outputs[0].token_ids)


def same(found, model, prompt, reference):
    """Equal to what transformers generates, or until two tokens were equally likely."""
    expected, leads = reference(model, list(prompt), len(found))
    for own, other, lead in zip(found, expected, leads, strict=True):
        if own != other:
            return lead <= TIE
    return True


# -- tokens -----------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("eviction", LIVE)
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma3"])
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


@pytest.mark.parametrize("placement", sorted(PLACEMENTS))
@pytest.mark.parametrize("blocks", [13, 17, 24])
@pytest.mark.parametrize("host", [1, 6, 40])
def test_no_size_of_the_tiers_changes_a_token(tiny, reference, placement, blocks, host):
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


# -- the prefix cache -------------------------------------------------------------------------------------------


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
    assert stats["recomputed_tokens"] == sum(event.tokens_lost for event in of(events, RequestPreempted)) > 0


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


# -- what cannot be ---------------------------------------------------------------------------------------------


def test_a_host_tier_too_small_for_a_swap_falls_back_and_says_so(watched, model, make_prompt, reference):
    engine, events = watched(
        num_device_blocks=int(1.3 * (20 + COUNT) / SIZE), num_host_blocks=2, preemption="swap", placement="never"
    )
    ids = [engine.add_request(make_prompt(20, i), **GREEDY) for i in range(3)]
    outputs, _ = drive(engine, ids)
    for i, output in enumerate(outputs):
        assert same(list(output.outputs[0].token_ids), model, make_prompt(20, i), reference)
    preempted = of(events, RequestPreempted)
    assert preempted
    for event in preempted:
        assert event.mode == "recompute"
        assert "not swapped: it has " in event.reason
        assert "of 2 host blocks 2 are free" in event.reason


class Bad:
    """An eviction policy with one fault; else the first candidate goes first."""

    name = "bad"

    def __init__(self, fault):
        self.fault, self.blocks, self.armed = fault, {}, False

    def fails(self, where):
        if self.armed and self.fault == where:
            raise ZeroDivisionError(where)

    def add(self, block):
        self.blocks[block.block] = block
        self.fails("add raises")

    def remove(self, block, evicted):
        del self.blocks[block.block]
        self.fails("remove raises")

    def victims(self, count):
        self.fails("victims raises")
        chosen = list(self.blocks)[:count]
        if self.armed:
            chosen = {
                "busy": [self.busy, *chosen[1:]],
                "stranger": [10**6, *chosen[1:]],
                "negative": [-1, *chosen[1:]],
                "text": ["0", *chosen[1:]],
                "list": [[0], *chosen[1:]],
                "nothing": None,
                "duplicate": [chosen[0]] * (count + 1),
                "too few": chosen[:-1],
                "too many": [*chosen, *chosen],
                "endless": itertools.count(),
                "the block itself": [self.blocks[number] for number in chosen],
            }.get(self.fault, chosen)
        return chosen

    def explain(self, block):
        self.fails("explain raises")
        return "it is there"


FAULTS = [
    "busy", "stranger", "negative", "text", "list", "nothing", "duplicate", "too few", "too many", "endless",
    "the block itself", "victims raises", "explain raises", "add raises", "remove raises",
]  # fmt: skip


@pytest.mark.parametrize("host", [0, 6])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_eviction_policy_is_named_and_the_engine_stays_usable(watched, model, reference, fault, host):
    policy = Bad(fault)
    engine, _ = watched(num_device_blocks=14, num_host_blocks=host, eviction=policy)
    run(engine, PROMPTS[3][:17])
    run(engine, PROMPTS[0][:9])
    ids = [engine.add_request(list(PROMPTS[1]), **{**GREEDY, "max_tokens": 20})]
    engine.step()
    policy.busy = engine.snapshot().sequences[2].tables[0][0][1]
    policy.armed = True
    ids.append(engine.add_request(list(PROMPTS[2]), **GREEDY))  # finds two blocks
    ids.append(engine.add_request(list(PROMPTS[5]), **GREEDY))  # finds others
    told, last = [], {}
    while len(told) < 3:
        try:
            last |= {output.request_id: output for output in engine.step()}
        except PolicyError as error:
            told.append(str(error))
        engine.audit()
        assert engine.has_unfinished_requests(), "nothing was evicted"
    assert all("'bad'" in message for message in told)
    extra = engine.add_request([1, 2, 3], **GREEDY)
    assert engine.abort(extra)
    engine.audit()
    engine._core.manager.change_eviction("lru")
    unfinished = engine.unfinished_request_ids()
    last |= dict(zip(unfinished, drive(engine, unfinished)[0], strict=True))
    for name, prompt in zip(ids, [PROMPTS[1], PROMPTS[2], PROMPTS[5]], strict=True):
        assert last[name].finished
        assert same(list(last[name].outputs[0].token_ids), model, prompt, reference)
    assert engine.stats()["num_free_blocks"] == 14


def test_steps_that_evict_nothing_go_on_with_a_broken_policy(watched, model, reference):
    policy = Bad("victims raises")
    policy.armed = True
    engine, _ = watched(num_device_blocks=12, eviction=policy)
    run(engine, PROMPTS[3][:9])
    found = run(engine, PROMPTS[1], COUNT)
    assert same(found, model, PROMPTS[1], reference)
    with pytest.raises(PolicyError):
        run(engine, tuple(range(100, 141)))
    engine.audit()
    assert engine.abort(engine.unfinished_request_ids()[0])
    engine.audit()
    assert same(run(engine, PROMPTS[1], COUNT), model, PROMPTS[1], reference)


class BadPlacement:
    name, summary = "bad placement", ""

    def __init__(self):
        self.fails = True

    def keeps(self, block):
        if self.fails:
            raise ZeroDivisionError
        return True

    def explain(self):
        return ""


def test_a_bad_placement_is_named_and_nothing_is_evicted(watched, model, reference):
    placement = BadPlacement()
    engine, events = watched(num_device_blocks=8, num_host_blocks=9, placement=placement)
    run(engine, PROMPTS[3][:17])
    name = engine.add_request(list(PROMPTS[0]), **GREEDY)
    for _ in range(3):
        with pytest.raises(PolicyError, match="'bad placement'"):
            engine.step()
        engine.audit()
        assert not of(events, BlockEvicted)
    placement.fails = False
    (output,), _ = drive(engine, [name])
    assert same(list(output.outputs[0].token_ids), model, PROMPTS[0], reference)


class BadVictim:
    name, summary = "bad victim", ""

    def __init__(self, fault):
        self.fault = fault

    def choose(self, candidates):
        if self.fault == "raises":
            raise ZeroDivisionError
        answers = {"stranger": "r0", "nothing": None, "list": list(candidates)}
        return answers.get(self.fault, candidates[-1])

    def explain(self, victim):
        if self.fault == "explain raises":
            raise ZeroDivisionError
        return "it was last"


@pytest.mark.parametrize("fault", ["raises", "explain raises", "stranger", "nothing", "list"])
def test_a_bad_victim_policy_is_named_and_the_engine_stays_usable(watched, model, make_prompt, reference, fault):
    policy = BadVictim(fault)
    engine, _ = watched(num_device_blocks=int(1.3 * (20 + COUNT) / SIZE), num_host_blocks=9, victim=policy)
    ids = [engine.add_request(make_prompt(20, i), **GREEDY) for i in range(3)]
    told = []
    while len(told) < 3:
        try:
            engine.step()
        except PolicyError as error:
            told.append(str(error))
        engine.audit()
    assert all("'bad victim'" in message for message in told)
    assert engine.abort(ids[2])
    engine.audit()
    policy.fault = ""
    for i, output in enumerate(drive(engine, ids[:2])[0]):
        assert same(list(output.outputs[0].token_ids), model, make_prompt(20, i), reference)


EXCLUDED = {
    "temperature": 0.7,
    "top_k": 3,
    "top_p": 0.5,
    "min_p": 0.1,
    "repetition_penalty": 1.2,
    "best_of": 4,
    "logprobs": 2,
    "stop": "x",
}


@pytest.mark.parametrize("option", EXCLUDED)
def test_beams_exclude_what_draws_lots(option):
    with pytest.raises(pv.RequestError, match=f"excludes {option}="):
        pv.SamplingParams(**{"beam_width": 3, option: EXCLUDED[option]})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"beam_width": 0}, "beam_width=0"),
        ({"beam_width": 2, "n": 3}, "beam_width=2: must be a whole number, 3 or more"),
        ({"beam_width": 2.0}, "beam_width=2.0"),
        ({"best_of": 1, "n": 2}, "best_of=1"),
        ({"length_penalty": float("nan")}, "length_penalty=nan"),
        ({"early_stopping": "always"}, "early_stopping='always'"),
        ({"early_stopping": ["never"]}, "early_stopping"),
        ({"preemption": "swop"}, "preemption='swop'"),
        ({"preemption": ["swap"]}, "preemption"),
        ({"priority": 1.5}, "priority=1.5"),
        ({"priority": True}, "priority=True"),
        ({"cache_salt": 5}, "cache_salt=5"),
        ({"cache_salt": b"x"}, "cache_salt"),
    ],
    ids=str,
)
def test_a_bad_parameter_is_told(params, message):
    with pytest.raises(pv.RequestError, match=message):
        pv.SamplingParams(**params)


def test_what_a_pool_can_never_hold_is_told(tiny):
    engine = pv.Engine(tiny("gemma3"), block_size=SIZE, num_device_blocks=9, num_host_blocks=100)
    with pytest.raises(pv.RequestError, match="more than 16"):
        engine.add_request([3] * 17)
    with pytest.raises(pv.RequestError, match="beam_width=3"):
        engine.add_request([3] * 9, beam_width=3, temperature=0.0, max_tokens=12)
    with pytest.raises(pv.RequestError, match="best_of=3"):
        engine.add_request([3] * 9, best_of=3, max_tokens=12)
    assert not engine.has_unfinished_requests()
    engine.audit()
