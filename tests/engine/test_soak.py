"""Hundreds of short requests through a tight pool, with aborts and interrupts: nothing is lost, nothing piles up.

450 requests, and 150 with another policy; with PAGEDVIZ_NIGHTLY=1 they are 8 000 and 1 600.
What they should say comes from an engine with room for all of them, no cache and no disturbance.
"""

import gc
import os
import random
import tracemalloc

import pytest

import pagedviz as pv
from pagedviz.engine.request import Request, Sequence

ROUNDS, PER_ROUND = (5, 1600) if os.environ.get("PAGEDVIZ_NIGHTLY") == "1" else (3, 150)
POOL = {
    "block_size": 4,
    "num_device_blocks": 26,
    "num_host_blocks": 14,
    "max_num_batched_tokens": 40,
    "max_num_seqs": 12,
}
LOTS = {
    "block_size": 4,
    "num_device_blocks": 8000,
    "num_host_blocks": 1,
    "prefix_caching": False,
    "max_num_seqs": 64,
}


def make_requests(rng):
    """Prompts and parameters; many share a beginning, some search with beams, some draw lots."""
    system = [rng.randint(2, 210) for _ in range(9)]
    requests = []
    for index in range(PER_ROUND):
        own = [rng.randint(2, 210) for _ in range(rng.randint(1, 14))]
        params = {"max_tokens": rng.randint(1, 14), "temperature": 0.0, "ignore_eos": True}
        params["priority"] = rng.randint(0, 3)
        kind = rng.random()
        if kind < 0.1:
            params |= {"beam_width": rng.randint(2, 3), "max_tokens": rng.randint(1, 8), "n": 2}
        elif kind < 0.25:
            # Few tokens to choose from, so that the last digits of a sum decide on none.
            params |= {"temperature": 1.0, "top_k": 3, "seed": index, "n": rng.randint(1, 3)}
        elif kind < 0.35:
            params |= {"n": 2}
        params["preemption"] = rng.choice(["swap", "recompute", "auto"])
        requests.append(([*system[: rng.choice([0, 4, 8, 9])], *own], params))
    return requests


def tokens(output):
    return [sample.token_ids for sample in output.outputs]


def soak(engine, rng, requests, expected):
    """Run them all, a few at a time, through aborts and interrupts; how many of each there were."""
    waiting, names, found, aborted, interrupts, steps = list(enumerate(requests)), {}, set(), 0, 0, 0
    run = engine._core.runner.run

    def interrupted(batch):
        if rng.random() < 0.5:
            run(batch)
        raise KeyboardInterrupt

    while waiting or engine.has_unfinished_requests():
        while waiting and len(engine.unfinished_request_ids()) < 12:
            number, (prompt, params) = waiting.pop(0)
            names[engine.add_request(prompt, **params)] = number
        if rng.random() < 0.02:
            gone = rng.choice(engine.unfinished_request_ids())
            assert engine.abort(gone)
            found.add(names[gone])
            aborted += 1
            continue
        disturbed = rng.random() < 0.03
        engine._core.runner.run = interrupted if disturbed else run
        try:
            outputs = engine.step()
        except KeyboardInterrupt:
            interrupts += 1
            outputs = []
        for output in outputs:
            if output.finished:
                number = names[output.request_id]
                assert number not in found, "it ended twice"
                found.add(number)
                assert tokens(output) == expected[number], requests[number]
        steps += 1
        assert steps < 100 * len(requests), "they never finish"
        if steps % 50 == 0:
            engine.audit()
    engine._core.runner.run = run
    engine.audit()
    assert found == set(range(len(requests))), "some were lost"
    return aborted, interrupts


def kept(engine):
    """What the engine holds on to while nothing runs."""
    core, state = engine._core, engine._auditor.told
    manager = core.manager
    return {
        "requests": len(core.requests) + len(core.touched) + len(engine._delivery),
        "queues": len(core.scheduler.waiting) + len(core.scheduler.running),
        "tables": len(manager._tables) + len(manager.names) + len(manager._swapped) + len(manager.finder._names),
        "events": len(core._pending) + len(state.requests) + len(state.sequences),
        "pins": sum(len(tier._pinned) for tier in manager.tiers.values()),
    }


def alive():
    """How many requests and sequences there are in this process."""
    gc.collect()
    return sum(type(value) in {Request, Sequence} for value in gc.get_objects())


@pytest.mark.parametrize("eviction", ["lru", "arc"])
def test_hundreds_of_requests_leave_nothing_behind(tiny, eviction):
    model = tiny("llama", num_hidden_layers=1)
    rng = random.Random(7)
    engine = pv.Engine(model, eviction=eviction, preemption="auto", victim="priority", **POOL)
    aborted = interrupts = 0
    before = alive()
    memory = [0]
    rounds = ROUNDS if eviction == "lru" else 1
    for round_ in range(rounds):
        requests = make_requests(rng)
        prompts, params = zip(*requests, strict=True)
        plenty = pv.Engine(model, **LOTS)
        expected = [tokens(o) for o in plenty.generate(list(prompts), [pv.SamplingParams(**p) for p in params])]
        del plenty
        counts = soak(engine, rng, requests, expected)
        aborted, interrupts = aborted + counts[0], interrupts + counts[1]
        assert set(kept(engine).values()) == {0}
        tiers = engine._core.manager.tiers.values()
        assert all(len(tier._lost) <= 4 * tier.pool.num_blocks for tier in tiers)
        assert engine.stats()["num_free_blocks"] == POOL["num_device_blocks"]
        assert engine.stats()["num_free_host_blocks"] == POOL["num_host_blocks"]
        del requests, prompts, params, expected
        assert alive() == before, "a finished request is still held"
        if round_ == 0:
            tracemalloc.start()
            continue
        memory.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    stats = engine.stats()
    assert stats["num_requests_finished"] == rounds * PER_ROUND
    assert aborted > rounds
    assert interrupts > rounds
    assert stats["num_preemptions"] > stats["num_preemptions_swap"] > 0
    assert stats["swapped_in_blocks"] > 0
    assert stats["evicted_blocks"] > PER_ROUND
    assert stats["prefix_cache_hits"] > 0
    # An id names one request for ever, and so it stays. The events of a request would take thousands of bytes.
    assert memory[-1] <= 1000 * PER_ROUND * (rounds - 1)
