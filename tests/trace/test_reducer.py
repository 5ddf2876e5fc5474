import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.errors import TraceFormatError
from pagedviz.events import (
    KINDS,
    Batch,
    BlockAllocated,
    BlockCached,
    BlockCopied,
    BlockEvicted,
    BlockFilled,
    BlockFreed,
    BlockReleased,
    BlockShared,
    PrefixCacheReset,
    PrefixHit,
    RequestAdded,
    RequestFinished,
    RequestPreempted,
    RequestScheduled,
    SequenceDropped,
    SequenceFinished,
    SequenceForked,
    StepFinished,
    StepStarted,
    SwappedIn,
    SwappedOut,
    TokenAppended,
)
from pagedviz.trace import State, apply, apply_batch, contradictions
from pagedviz.trace.analysis.history import memory_history
from pagedviz.trace.reducer import RULES

runs = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "steps": st.integers(0, 30),
        "block_size": st.sampled_from((1, 2, 4, 16)),
        "num_blocks": st.integers(8, 40),
        "groups": st.integers(1, 2),
        "num_host": st.sampled_from((0, 3, 16)),
        "caching": st.booleans(),
    }
)


@settings(max_examples=60)
@given(run=runs)
def test_state_is_sound_after_every_batch_and_knows_who_holds_what(streams, run):
    toy = streams.random_run(**run)
    state = streams.start_of(toy)
    for batch in toy.batches:
        apply_batch(state, batch)
        assert list(contradictions(state)) == []
        for tier, blocks in (("device", toy.num_blocks), ("host", toy.num_host)):
            use = state.memory(tier)
            assert use.used + use.cached + use.internal + use.free == use.total == blocks * toy.block_size
            assert min(use.used, use.cached, use.internal, use.free) >= 0
    for pool in (toy.memory.device, toy.memory.host):
        blocks = state.blocks.get(pool.tier, {})
        assert {block: len(found.holders) for block, found in blocks.items() if found.holders} == pool.holders
        assert {
            block: ((found.group, found.hash), found.cached) for block, found in blocks.items() if not found.holders
        } == {block: (pool.names[block], step) for block, step in pool.idle.items()}
    for job in toy.jobs:
        assert state.requests[job.name].status == job.status
        assert state.requests[job.name].sequences == [stream.id for stream in job.streams]
        for stream in job.streams:
            sequence = state.sequences[stream.id]
            tables = {g: [(stream.tier, block) for block in table] for g, table in stream.tables.items()}
            assert (sequence.tokens, sequence.status) == (stream.tokens, stream.status)
            assert sequence.computed == stream.computed or stream.status == "finished"
            assert {g: t for g, t in sequence.tables.items() if t} == {g: t for g, t in tables.items() if t}


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), block_size=st.sampled_from((1, 2, 4)), groups=st.integers(1, 2))
def test_tables_may_have_absent_entries_and_lie_in_both_tiers(streams, seed, block_size, groups):
    toy = streams.paging_run(seed, block_size=block_size, groups=groups)
    state = streams.start_of(toy)
    for batch in toy.batches:
        apply_batch(state, batch)
        assert list(contradictions(state)) == []
    found = {(s.id, g, logical): entry for s in state.sequences.values() for g, logical, entry in s.entries()}
    assert found == toy.tables
    held = {(tier, n): b for tier, blocks in state.blocks.items() for n, b in blocks.items()}
    assert {entry: len(block.holders) for entry, block in held.items() if block.holders} == {
        entry: len(holders) for entry, holders in toy.holders.items()
    }
    assert {e: (b.hash, b.cached) for e, b in held.items() if not b.holders} == {
        entry: (toy.names[entry], since) for entry, since in toy.cached.items()
    }
    for tier in ("device", "host"):  # what is kept from batch to batch is what the state says
        assert memory_history(streams.trace_of(toy), tier)[-1].use == state.memory(tier)


def test_the_toy_has_absent_entries_and_tables_in_both_tiers(streams):
    state = streams.trace_of(streams.paging_run(2)).state_at(30)
    tables = [table for sequence in state.sequences.values() for table in sequence.tables.values()]
    assert any(None in table for table in tables)
    assert any({entry[0] for entry in table if entry} == {"device", "host"} for table in tables)


def test_an_entry_that_is_given_back_before_later_ones_is_absent():
    state = running_state()
    apply(state, BlockReleased("device", 0, 0, 0, 0, 1))
    assert state.sequences[0].tables[0] == [None, ("device", 1)]
    assert list(contradictions(state)) == []
    apply(state, BlockAllocated("host", 0, 1, 0, 0, "prefill"))
    assert state.sequences[0].tables[0] == [("host", 1), ("device", 1)]
    apply(state, BlockReleased("host", 0, 1, 0, 0, 0))
    apply(state, BlockReleased("device", 0, 1, 0, 1, 0))
    assert state.sequences[0].tables[0] == []


def test_a_table_may_begin_behind_entries_that_nobody_told_of():
    state = running_state()
    apply(state, BlockReleased("device", 0, 0, 1, 0, 1))
    apply(state, BlockShared("device", 0, 1, 1, 1, 2))
    assert state.sequences[1].tables[0] == [None, ("device", 1)]
    assert list(contradictions(state)) == []
    with pytest.raises(ValueError, match="entry 3 is set in a table of 2"):  # it has five tokens, four a block
        apply(state, BlockAllocated("device", 0, 2, 0, 3, "prefill"))


def test_a_table_that_ends_with_an_absent_entry_is_none():
    state = running_state()
    state.sequences[2].tables[0] = [None]
    assert list(contradictions(state)) == ["the table of sequence 2 in group 0 ends with an absent entry"]


@settings(max_examples=60)
@given(run=runs, data=st.data())
def test_a_stream_with_a_lost_doubled_or_moved_event_gets_an_error_of_ours_or_none(streams, run, data):
    toy = streams.paging_run(run["seed"]) if data.draw(st.booleans()) else streams.random_run(**run)
    events = [event for batch in toy.batches for event in batch.events]
    if not events:
        return
    index = data.draw(st.integers(0, len(events) - 1))
    match data.draw(st.sampled_from(("lose", "double", "move"))):
        case "lose":
            del events[index]
        case "double":
            events.insert(index, events[index])
        case _:
            events.insert(data.draw(st.integers(0, len(events) - 1)), events.pop(index))
    with contextlib.suppress(TraceFormatError):  # anything else that is raised fails the test
        apply_batch(streams.start_of(toy), Batch(0, 0, 0, tuple(events)))


def test_a_copy_stays_as_it_was(streams):
    toy = streams.random_run(3)
    state = streams.start_of(toy)
    half = len(toy.batches) // 2
    for batch in toy.batches[:half]:
        apply_batch(state, batch)
    copy, twin = state.copy(), state.copy()
    for batch in toy.batches[half:]:
        apply_batch(state, batch)
    assert copy == twin
    assert copy != state
    for batch in toy.batches[half:]:
        apply_batch(copy, batch)
    assert copy == state


def running_state():
    """Two samples of r0: A has blocks 0 and 1, B shares block 0 and waits; r1 waits with C. Host 0 is cached."""
    state = State(4, {"device": 4, "host": 2})
    for event in (
        RequestAdded("r0", (0, 1), (1, 2, 3, 4, 5), (), 8),
        RequestAdded("r1", (2,), (7,), (), 8),
        RequestScheduled("r0", False),
        BlockAllocated("device", 0, 0, 0, 0, "prefill"),
        BlockAllocated("device", 0, 1, 0, 1, "prefill"),
        StepStarted(((0, 0, 5),)),
        StepFinished(1, 5, 0),
        BlockShared("device", 0, 0, 1, 0, 2),
        BlockCached("host", 0, 0, "ab"),
    ):
        apply(state, event)
    return state


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (BlockAllocated("device", 0, 0, 2, 0, "prefill"), "handed out twice"),
        (BlockAllocated("device", 0, 4, 2, 0, "prefill"), "outside the device pool of 4"),
        (BlockAllocated("device", 0, -1, 2, 0, "prefill"), "outside the device pool of 4"),
        (BlockAllocated("disk", 0, 2, 2, 0, "prefill"), "'disk', which does not exist"),
        (BlockAllocated("device", 0, 2, 2, 1, "prefill"), "entry 1 is set in a table of 0"),
        (BlockAllocated("device", 0, 2, 0, -1, "prefill"), "entry -1 is set in a table of 2"),
        (BlockAllocated("device", 0, 2, 0, 2**53 - 1, "prefill"), "is set in a table of 2"),
        (BlockAllocated("device", 0, 2, 9, 0, "prefill"), "9, which does not exist"),
        (BlockShared("device", 0, 3, 1, 0, 1), "3, which does not exist"),
        (BlockShared("device", 0, 1, 1, 1, 3), "2 holders, not 3"),
        (BlockShared("device", 0, 1, 0, 1, 2), "already has block 1"),
        (BlockReleased("device", 0, 0, 0, 0, 0), "1 holders, not 0"),
        (BlockReleased("device", 0, 1, 2, 0, 0), "is not entry 0 of sequence 2"),
        (BlockFreed("device", 0, 0), "freed while somebody has it"),
        (BlockFreed("device", 0, 3), "3, which does not exist"),
        (BlockFilled("device", 0, 0, 2, 0, "ab"), "is not entry 0 of sequence 2"),
        (BlockCopied("device", 0, 2, 1, 0, 1), "copied while nobody has it"),
        (BlockCopied("device", 0, 0, 3, 0, 1), "3, which does not exist"),
        (BlockCached("device", 0, 0, "ab"), "cached while somebody has it"),
        (BlockCached("device", 0, 4, "ab"), "outside the device pool of 4"),
        (BlockCached("disk", 0, 0, "ab"), "'disk', which does not exist"),
        (BlockEvicted("device", 0, 0, "ab", "lru", "", 0), "evicted while somebody has it"),
        (BlockEvicted("host", 0, 1, "ab", "lru", "", 0), "1, which does not exist"),
        (PrefixHit("r1", 2, 1, 1, 0, False), "1 of 1 tokens are found, 0 are there"),
        (PrefixHit("r0", 0, 1, 4, 0, False), "4 of 5 tokens are found, 5 are there"),
        (PrefixHit("r0", 9, 1, 4, 0, False), "9, which does not exist"),
        (PrefixCacheReset(0), "1 blocks were cached, not 0"),
        (PrefixCacheReset(2), "1 blocks were cached, not 2"),
        (SwappedOut("r0", ((0, 1),), 0, 0), "1, which does not exist"),
        (SwappedOut("r0", ((3, 0),), 0, 0), "3, which does not exist"),
        (SwappedIn("r0", ((1, 0),), 0, 0), "1, which does not exist"),
        (SwappedIn("r0", ((0, 3),), 0, 0), "3, which does not exist"),
        (RequestAdded("r0", (9,), (1,), (), 1), "added twice"),
        (RequestAdded("r9", (0,), (1,), (), 1), "sequence 0 is added twice"),
        (RequestAdded("r9", (9,), (1, 2), ("a",), 1), "2 prompt tokens have 1 texts"),
        (RequestScheduled("r0", False), "is running, not waiting"),
        (RequestScheduled("r9", False), "'r9', which does not exist"),
        (RequestPreempted("r1", "recompute", "", 0, 0), "is waiting, not running"),
        (SequenceForked("r0", 0, 0, 5), "sequence 0 is running, not waiting"),
        (SequenceForked("r0", 0, 1, 6), "6 tokens are shared of 5"),
        (SequenceForked("r0", 2, 1, 1), "1 tokens are shared of 0"),
        (SequenceForked("r0", 0, 9, 6), "6 tokens are shared of 5"),
        (SequenceForked("r9", 0, 9, 5), "'r9', which does not exist"),
        (SequenceForked("r0", 9, 1, 1), "9, which does not exist"),
        (SequenceDropped("r0", 0), "sequence 0 is dropped while it has blocks"),
        (SequenceDropped("r0", 2), "not in list"),
        (SequenceDropped("r0", 9), "9, which does not exist"),
        (TokenAppended(0, 6, 1, ""), "position 6 follows 5 tokens"),
        (TokenAppended(9, 0, 1, ""), "9, which does not exist"),
        (SequenceFinished("r0", 9, "stop"), "9, which does not exist"),
        (RequestFinished("r9", "stop"), "'r9', which does not exist"),
    ],
)
def test_an_event_that_contradicts_the_state_is_named_with_its_reason(event, reason):
    state = running_state()
    state.seq = 41
    with pytest.raises(TraceFormatError) as caught:
        apply_batch(state, Batch(41, 3, 0, (event,)))
    assert "event 41 in step 3" in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("scheduled", [(0, 0, 6), (0, -1, 1), (0, 3, -1), (9, 0, 1)])
def test_a_step_cannot_compute_tokens_that_do_not_exist(scheduled):
    with pytest.raises(TraceFormatError):
        apply_batch(running_state(), Batch(0, 1, 0, (StepStarted((scheduled,)), StepFinished(1, 1, 0))))


def test_nothing_happens_twice_at_an_end():
    state = running_state()
    apply(state, SequenceFinished("r0", 0, "stop"))
    apply(state, RequestFinished("r0", "stop"))
    for event in (SequenceFinished("r0", 0, "stop"), RequestFinished("r0", "stop"), TokenAppended(0, 5, 1, "")):
        with pytest.raises(TraceFormatError):
            apply_batch(state, Batch(0, 1, 0, (event,)))


@pytest.mark.parametrize(
    ("seq", "words"), [(3, "events 0 to 2 are missing"), (-1, "event -1 of step 1 comes twice")]
)
def test_batches_follow_each_other_without_gaps(seq, words):
    with pytest.raises(TraceFormatError, match=words):
        apply_batch(State(4, {"device": 4}), Batch(seq, 1, 0, (StepStarted(()),)))


def test_every_kind_has_a_rule():
    assert set(RULES) == set(KINDS.values())


def test_every_kind_changes_a_state_or_is_known_not_to(streams):
    """Looks at the run that the golden trace is made of."""
    trace = streams.trace_of(streams.golden_run())
    state, silent = trace.start.copy(), set(KINDS)
    for event in trace.events:
        before = state.copy()
        apply(state, event)
        if state != before:
            silent.discard(type(event).__name__)
    assert silent == {"KernelLaunched"}
