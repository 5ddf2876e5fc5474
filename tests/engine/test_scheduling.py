"""Who runs: first come first served, within budget and seats; who gives way: the newest."""

import random
import re

import pytest

import pagedviz as pv
from pagedviz.events import (
    BlockCached,
    BlockFreed,
    PrefixHit,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceForked,
    StepFinished,
    StepStarted,
    TokenAppended,
)


@pytest.fixture
def model(tiny):
    return tiny("llama", num_hidden_layers=1)


@pytest.fixture
def watched(model):
    """``watched(**options)``: an engine and the list that its batches go to."""

    def make(**options):
        engine = pv.Engine(model, **{"block_size": 4, "num_device_blocks": 64, **options})
        batches = []
        engine.subscribe(batches.append)
        return engine, batches

    return make


def of(batches, kind):
    return [event for batch in batches for event in batch.events if isinstance(event, kind)]


LONG = {"temperature": 0.0, "max_tokens": 12, "ignore_eos": True}


def test_requests_begin_in_the_order_in_which_they_came(watched, make_prompt, run_audited):
    engine, batches = watched(max_num_batched_tokens=32, max_num_seqs=3, num_device_blocks=20)
    ids = [engine.add_request(make_prompt(3 + 5 * i, i), **LONG) for i in range(8)]
    run_audited(engine, ids)
    begun = [event.request for event in of(batches, RequestScheduled) if not event.resumed]
    assert begun == ids


@pytest.mark.parametrize(("budget", "seats"), [(4, 4), (7, 3), (16, 2), (64, 5)])
def test_no_step_exceeds_its_budget_or_its_seats(watched, make_prompt, run_audited, budget, seats):
    engine, batches = watched(max_num_batched_tokens=budget, max_num_seqs=seats)
    ids = [engine.add_request(make_prompt(1 + 4 * i, i), n=1 + i % 2, **LONG) for i in range(7)]
    run_audited(engine, ids)
    for event in of(batches, StepStarted):
        assert 0 < sum(count for _, _, count in event.scheduled) <= budget
        assert len(event.scheduled) <= seats
        assert len({sequence for sequence, _, _ in event.scheduled}) == len(event.scheduled)
    stats = engine.stats()
    assert stats["prompt_tokens"] == sum(len(event.prompt) for event in of(batches, RequestAdded))
    assert stats["generation_tokens"] == len(of(batches, TokenAppended))


def test_a_long_prompt_is_cut_while_others_go_on(watched, make_prompt, run_audited):
    engine, batches = watched(max_num_batched_tokens=8, max_num_seqs=4)
    short = engine.add_request(make_prompt(3), **LONG)
    long = engine.add_request(make_prompt(40), **LONG)
    run_audited(engine, [short, long])
    lone = [event for event in of(batches, StepStarted) if len(event.scheduled) == 2]
    assert len(lone) >= 5
    assert all(event.scheduled[0] == (0, event.scheduled[0][1], 1) for event in lone[1:])


def replay_preemptions(batches):
    """The running requests before each preemption, from the events alone."""
    running, seen = [], []
    for event in (event for batch in batches for event in batch.events):
        if isinstance(event, RequestScheduled):
            running.append(event.request)
        elif isinstance(event, RequestPreempted):
            seen.append((list(running), event.request))
            running.remove(event.request)
        elif isinstance(event, RequestFinished) and event.request in running:
            running.remove(event.request)
    return seen


def test_the_newest_gives_way_and_its_numbers_are_right(watched, make_prompt, run_audited):
    engine, batches = watched(num_device_blocks=16)
    ids = [engine.add_request(make_prompt(8 + i, i), n=1 + (i == 2), **LONG) for i in range(4)]
    run_audited(engine, ids)
    seen = replay_preemptions(batches)
    assert len(seen) == engine.stats()["num_preemptions"] > 0
    for running, victim in seen:
        assert running[-1] == victim == max(running, key=ids.index)
    for batch in batches:
        for at, event in enumerate(batch.events):
            if isinstance(event, RequestPreempted):
                rest = batch.events[at + 1 :]
                ends = [i for i, e in enumerate(rest) if isinstance(e, (RequestPreempted, StepFinished))]
                # Until the next preemption, and before any allocation, come its own releases.
                freed = 0
                for other in rest[: ends[0] if ends else None]:
                    if type(other).__name__ == "BlockAllocated":
                        break
                    freed += isinstance(other, (BlockFreed, BlockCached))
                assert event.blocks_freed == freed > 0
                assert event.mode == "recompute"
                assert " block" in event.reason


@pytest.mark.parametrize("prefix_caching", [True, False])
def test_tokens_lost_are_the_tokens_computed_again(watched, make_prompt, run_audited, prefix_caching):
    engine, batches = watched(num_device_blocks=15, prefix_caching=prefix_caching)
    # Samples that differ: equal ones have their full blocks in common, and lose them once.
    apart = {**LONG, "temperature": 1.0, "seed": 1, "n": 3}
    ids = [engine.add_request(make_prompt(14, 1), **LONG), engine.add_request(make_prompt(14, 2), **apart)]
    outputs = run_audited(engine, ids)
    lost = sum(event.tokens_lost for event in of(batches, RequestPreempted))
    assert lost > 0
    computed = sum(event.prefill_tokens + event.decode_tokens for event in of(batches, StepFinished))
    needed = sum(
        len(output.prompt_token_ids) + sum(len(sample.token_ids) - 1 for sample in output.outputs)
        for output in outputs
    )
    # What was found again was not lost after all. The prompt's last two tokens are in a block that every sample has
    # copied: they are lost, and computed again, once for each.
    found = sum(event.tokens for event in of(batches, PrefixHit) if event.resumed)
    assert (found > 0) == prefix_caching
    assert {event.num_tokens for event in of(batches, SequenceForked)} == {14, 12}
    stats = engine.stats()
    assert stats["lost_tokens"] == lost
    assert computed - needed == stats["recomputed_tokens"] == lost - found
    assert stats["prompt_tokens"] == sum(len(output.prompt_token_ids) for output in outputs)
    assert stats["generation_tokens"] == sum(len(s.token_ids) for output in outputs for s in output.outputs)


def test_twenty_requests_get_through_a_pool_for_little_more_than_one(
    watched, make_prompt, run_audited, model, reference
):
    engine, _ = watched(num_device_blocks=int(1.3 * (20 + 24) / 4), max_num_batched_tokens=40)
    params = {"temperature": 0.0, "max_tokens": 24, "ignore_eos": True}
    ids = [engine.add_request(make_prompt(20, i), **params) for i in range(20)]
    for i, output in enumerate(run_audited(engine, ids)):
        assert list(output.outputs[0].token_ids) == reference(model, make_prompt(20, i), 24)[0]


def test_one_request_may_fill_the_pool(watched, make_prompt, run_audited):
    engine, _ = watched(num_device_blocks=5)
    name = engine.add_request(make_prompt(9), temperature=0.0, max_tokens=1000, ignore_eos=True)
    sample = run_audited(engine, [name])[0].outputs[0]
    assert (len(sample.token_ids), sample.finish_reason) == (20 + 1 - 9, "length")
    name = engine.add_request(make_prompt(20), temperature=0.0, max_tokens=1000, ignore_eos=True)
    assert len(run_audited(engine, [name])[0].outputs[0].token_ids) == 1


@pytest.mark.parametrize("blocks", [4, 5, 7])
def test_layer_groups_share_the_pool_down_to_its_last_block(tiny, make_prompt, run_audited, blocks):
    engine = pv.Engine(tiny("gemma3"), block_size=4, num_device_blocks=blocks)
    each = blocks // 2 * 4
    with pytest.raises(pv.RequestError, match=f"more than {each}"):
        engine.add_request(make_prompt(each + 1))
    ids = [
        engine.add_request(make_prompt(length), max_tokens=50, ignore_eos=True) for length in (each, 3, each - 1)
    ]
    assert [len(o.outputs[0].token_ids) for o in run_audited(engine, ids)] == [1, each + 1 - 3, 2]


def test_an_abort_frees_at_once_and_the_others_go_on(watched, make_prompt, run_audited, model, reference):
    engine, batches = watched(num_device_blocks=24, max_num_seqs=3)
    ids = [engine.add_request(make_prompt(9, i), n=1 + (i == 1), **LONG) for i in range(4)]
    for _ in range(3):
        engine.step()
        engine.audit()
    for victim in (ids[1], ids[3]):  # one that runs, one that waits
        assert engine.abort(victim)
        engine.audit()
        assert not engine.abort(victim)
    assert not engine.abort("nobody")
    outputs = run_audited(engine, [ids[0], ids[2]])
    for seed, output in zip((0, 2), outputs, strict=True):
        assert list(output.outputs[0].token_ids) == reference(model, make_prompt(9, seed), 12)[0]
    reasons = {event.request: event.reason for event in of(batches, RequestFinished)}
    assert reasons == {ids[0]: "length", ids[1]: "abort", ids[2]: "length", ids[3]: "abort"}


@pytest.mark.parametrize("seed", range(6))
def test_random_traffic_leaves_nothing_behind(watched, make_prompt, seed):
    """Requests come, stop and are aborted at random, in a pool that is too small; audit after every step."""
    rng = random.Random(seed)
    size = rng.choice([1, 2, 4, 8])
    engine, batches = watched(
        block_size=size,
        num_device_blocks=max(12, 160 // size),
        max_num_batched_tokens=rng.choice([8, 16, 64]),
        max_num_seqs=rng.choice([4, 8]),
    )
    results = {}
    added = 0
    while added < 25 or engine.has_unfinished_requests():
        if added < 25 and rng.random() < 0.5:
            engine.add_request(
                make_prompt(rng.randint(1, 40), added),
                n=rng.choice([1, 1, 2, 3]),
                max_tokens=rng.randint(1, 20),
                temperature=rng.choice([0.0, 1.0]),
                stop_token_ids=[rng.randint(0, 210) for _ in range(4)],
            )
            added += 1
        if rng.random() < 0.05 and (names := engine.unfinished_request_ids()):
            name = rng.choice(names)
            assert engine.abort(name)
            results[name] = None
        for output in engine.step():
            results[output.request_id] = output
        engine.audit()
    assert engine.stats()["num_free_blocks"] == engine.config.num_device_blocks
    assert len(of(batches, RequestAdded)) == len(of(batches, RequestFinished)) == 25
    assert all(output is None or output.finished for output in results.values())


@pytest.mark.parametrize("shape", ["samples", "beams"])
@pytest.mark.parametrize("prefix_caching", [True, False])
@pytest.mark.parametrize("victim", ["fewest_tokens_lost", "largest"])
def test_a_victim_is_judged_by_the_tokens_that_it_would_lose(watched, make_prompt, victim, prefix_caching, shape):
    """Also when its samples share only some of the prompt, or generated blocks too."""
    engine, batches = watched(
        num_device_blocks=30, victim=victim, preemption="recompute", prefix_caching=prefix_caching
    )
    forks = {"n": 3, "temperature": 1.0} if shape == "samples" else {"beam_width": 3}
    for i in range(5):
        engine.add_request(make_prompt(7 + i % 2, i), **{**LONG, "max_tokens": 16, "seed": i, **forks})
    while engine.has_unfinished_requests():
        engine.step()
        engine.audit()
    preempted = of(batches, RequestPreempted)
    assert preempted
    for event in preempted:
        assert f" tokens in memory, {event.tokens_lost}" in event.reason


def test_a_reason_for_preemption_is_a_sentence_and_says_why_this_one(watched, make_prompt, run_audited):
    engine, batches = watched(num_device_blocks=10)
    run_audited(engine, [engine.add_request(make_prompt(12, i), **LONG) for i in range(3)])
    reasons = [event.reason for event in of(batches, RequestPreempted)]
    assert reasons
    for reason in reasons:
        assert re.fullmatch(
            r"r\d needs (1 block|\d\d? blocks), and (1 of 10 is|\d+ of 10 are) free; r\d came last", reason
        )


@pytest.mark.parametrize("shape", ["samples", "beams"])
def test_a_request_is_admitted_when_there_is_room_for_all_of_its_samples(watched, make_prompt, run_audited, shape):
    """If only the first one's tokens are counted, the others push somebody out once the prompt is computed."""
    engine, batches = watched(num_device_blocks=18, preemption="recompute", max_num_batched_tokens=64)
    forks = {"n": 3, "temperature": 1.0} if shape == "samples" else {"beam_width": 3}
    params = {**LONG, "max_tokens": 16, "seed": 1, **forks}
    ids = [engine.add_request(make_prompt(7, i), **params) for i in range(6)]
    run_audited(engine, ids)
    # Who is admitted with room for itself can lose it only to what others write later, a few times in their lives.
    assert 0 < len(of(batches, RequestPreempted)) <= 12


def test_a_request_waits_while_one_that_runs_has_not_computed_its_prompt(watched, make_prompt, run_audited):
    engine, batches = watched(num_device_blocks=12, max_num_batched_tokens=16, max_num_seqs=4, prefix_caching=False)
    ids = [engine.add_request(make_prompt(30), temperature=1.0, n=3, max_tokens=3, ignore_eos=True)]
    engine.step()
    ids.append(engine.add_request(make_prompt(9, 1), **LONG))
    run_audited(engine, ids)
    # 7 full blocks, and 3 copies of the one that the samples write into: too few are left for the second request.
    ended = next(i for i, batch in enumerate(batches) if of([batch], RequestFinished))
    begun = [i for i, batch in enumerate(batches) if of([batch], RequestScheduled)]
    assert begun[1] > ended
    assert not of(batches, RequestPreempted)
