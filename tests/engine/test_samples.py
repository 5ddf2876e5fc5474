"""Several samples of one prompt: they share its blocks until they write, and copy as little as can be."""

import pytest

import pagedviz as pv
from pagedviz.events import BlockAllocated, BlockCopied, BlockShared, RequestPreempted, SequenceForked

SIZE = 4


def run(engine, ids, run_audited):
    events = []
    engine.subscribe(lambda batch: events.extend(batch.events))
    return run_audited(engine, ids), events


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("length", [1, 6, 8, 9, 11, 12])
def test_samples_share_the_prompt_and_copy_only_a_partly_filled_block(tiny, make_prompt, run_audited, n, length):
    engine = pv.Engine(tiny("llama"), block_size=SIZE, num_device_blocks=100, prefix_caching=False)
    name = engine.add_request(make_prompt(length), n=n, max_tokens=6, ignore_eos=True)
    _, events = run(engine, [name], run_audited)
    blocks = -(-length // SIZE)
    assert len(of(events, BlockShared)) == (n - 1) * blocks
    assert len(of(events, SequenceForked)) == n - 1
    assert len(of(events, BlockCopied)) == (n - 1 if length % SIZE else 0)
    # Nothing but the prompt's blocks, the copies and what the samples' own tokens fill is ever allocated.
    own = n * (-(-(length + 5) // SIZE) - blocks)
    assert len(of(events, BlockAllocated)) == blocks + len(of(events, BlockCopied)) + own


def test_no_block_is_taken_until_a_sample_writes(tiny, make_prompt):
    engine = pv.Engine(tiny("llama"), block_size=SIZE, num_device_blocks=100)
    engine.add_request(make_prompt(10), n=4, max_tokens=6, ignore_eos=True)
    engine.step()
    engine.audit()
    assert engine.stats()["num_free_blocks"] == 100 - 3
    tables = [sequence.tables[0] for sequence in engine.snapshot().sequences.values()]
    assert len(tables) == 4
    assert all(table == tables[0] for table in tables)
    engine.step()
    engine.audit()
    tables = [sequence.tables[0] for sequence in engine.snapshot().sequences.values()]
    assert len({table[2] for table in tables}) == 4
    assert len({tuple(table[:2]) for table in tables}) == 1


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma3"])
@pytest.mark.parametrize("options", [{}, {"max_num_batched_tokens": 7, "max_num_seqs": 7}], ids=["whole", "chunks"])
def test_greedy_samples_all_equal_the_only_one(family, tiny, make_prompt, reference, run_audited, options):
    model = tiny(family)
    prompt = make_prompt(30, 3)
    engine = pv.Engine(model, block_size=SIZE, num_device_blocks=300, **options)
    params = {"temperature": 0.0, "max_tokens": 24, "ignore_eos": True}
    ids = [engine.add_request(prompt, n=4, **params), engine.add_request(make_prompt(17), **params)]
    outputs = run_audited(engine, ids)
    expected, _ = reference(model, prompt, 24)
    assert [list(sample.token_ids) for sample in outputs[0].outputs] == [expected] * 4
    assert [sample.index for sample in outputs[0].outputs] == [0, 1, 2, 3]


@pytest.mark.parametrize("blocks", [27, 30, 36])
def test_preempted_samples_share_the_prompt_again(tiny, make_prompt, run_audited, blocks):
    model = tiny("llama")
    params = {"n": 3, "seed": 5, "max_tokens": 20, "ignore_eos": True}
    alone = pv.Engine(model, block_size=SIZE, num_device_blocks=100).generate(make_prompt(18), **params)[0]
    engine = pv.Engine(model, block_size=SIZE, num_device_blocks=blocks, prefix_caching=False)
    older = engine.add_request(make_prompt(40), temperature=0.0, max_tokens=30, ignore_eos=True)
    name = engine.add_request(make_prompt(18), **params)
    outputs, events = run(engine, [older, name], run_audited)
    assert outputs[1].outputs == alone.outputs
    again = [i for i, e in enumerate(events) if isinstance(e, RequestPreempted) and e.request == name]
    assert again
    forks = of(events[again[-1] :], SequenceForked)
    assert forks, "the followers were in memory again at last"
    shared = of(events[again[-1] :], BlockShared)
    assert len(shared) == len(forks) * 4, "followers share the prompt's full blocks"


def test_samples_that_end_early_give_their_blocks_back_at_once(byte_engine, script):
    engine = byte_engine()
    name = engine.add_request("abcdef", n=3, max_tokens=8, stop_token_ids=[0], seed=1)
    script(engine, "xyz", 6)
    free = []
    while engine.has_unfinished_requests():
        engine.step()
        engine.audit()
        free.append(engine.stats()["num_free_blocks"])
    assert free[-1] == 128
    assert name not in engine.unfinished_request_ids()


def test_a_sample_whose_leader_has_ended_goes_on_through_preemption(tiny, make_prompt, run_audited):
    model = tiny("llama")
    plain = pv.Engine(model, block_size=SIZE, num_device_blocks=100)
    params = {"n": 3, "seed": 5, "max_tokens": 20, "ignore_eos": True}
    first = plain.generate(make_prompt(18), **params)[0].outputs[0].token_ids
    params["stop_token_ids"] = [first[2]]  # the leader, at least, stops after three tokens
    alone = plain.generate(make_prompt(18), **params)[0]
    assert len({len(sample.token_ids) for sample in alone.outputs}) > 1
    engine = pv.Engine(model, block_size=SIZE, num_device_blocks=24)
    older = engine.add_request(make_prompt(40), temperature=0.0, max_tokens=40, ignore_eos=True)
    name = engine.add_request(make_prompt(18), **params)
    outputs = run_audited(engine, [older, name])
    assert engine.stats()["num_preemptions"] > 0
    assert outputs[1].outputs == alone.outputs


def test_as_many_samples_as_fit_without_max_tokens(tiny, run_audited):
    engine = pv.Engine(tiny("llama"), block_size=SIZE, num_device_blocks=11)
    name = engine.add_request([3] * 9, n=2, max_tokens=None, ignore_eos=True)
    samples = run_audited(engine, [name])[0].outputs
    # 2 shared blocks and 4 of its own for each: 24 slots, and one token that needs none.
    assert [len(sample.token_ids) for sample in samples] == [24 + 1 - 9] * 2
    assert engine.stats()["num_preemptions"] == 0
