"""What the events of the prefix cache, the host tier and beams mean, on states small enough to read."""

import pytest

from pagedviz.events import (
    BlockAllocated,
    BlockCached,
    BlockEvicted,
    BlockFilled,
    BlockFreed,
    BlockReleased,
    BlockShared,
    PrefixCacheReset,
    PrefixHit,
    PrefixMissed,
    RequestAdded,
    RequestPreempted,
    RequestScheduled,
    SequenceDropped,
    SequenceForked,
    StepFinished,
    StepStarted,
    SwappedIn,
    SwappedOut,
    TokenAppended,
)
from pagedviz.trace import Block, MemoryUse, State, apply, contradictions
from pagedviz.trace.state import Eviction

PROMPT = (1, 2, 3, 4, 5, 6)


def after(state, *events):
    for event in events:
        apply(state, event)
    assert list(contradictions(state)) == []
    return state


@pytest.fixture
def state():
    """Sequence 0 of r0 runs: 6 tokens in device blocks 0, which is full, and 1; step 3 of 4 + 4 blocks of 4."""
    state = State(4, {"device": 4, "host": 4}, step=3)
    return after(
        state,
        RequestAdded("r0", (0,), PROMPT, (), 8),
        RequestScheduled("r0", False),
        StepStarted(((0, 0, 6),)),
        BlockAllocated("device", 0, 0, 0, 0, "prefill"),
        BlockAllocated("device", 0, 1, 0, 1, "prefill"),
        StepFinished(1, 6, 0),
        BlockFilled("device", 0, 0, 0, 0, "aa"),
    )


def ended(state):
    """Block 0 is cached, nobody has blocks."""
    return after(
        state,
        BlockReleased("device", 0, 1, 0, 1, 0),
        BlockFreed("device", 0, 1),
        BlockReleased("device", 0, 0, 0, 0, 0),
        BlockCached("device", 0, 0, "aa"),
    )


def test_a_cached_block_is_neither_used_nor_free(state):
    assert state.memory() == MemoryUse(used=6, cached=0, internal=2, free=8)
    ended(state)
    assert state.block(0) == Block(0, (), 3, hash="aa", cached=3)
    assert (state.refcount(0), state.fill(0), state.num_free()) == (0, 4, 3)
    assert state.memory() == MemoryUse(used=0, cached=4, internal=0, free=12)
    assert (state.counters.cached, state.counters.freed) == (1, 1)


def test_a_hit_takes_a_cached_block_and_counts_tokens_once(state):
    ended(state)
    after(
        state,
        RequestAdded("r1", (1,), PROMPT, (), 8),
        RequestScheduled("r1", False),
        BlockShared("device", 0, 0, 1, 0, 1),
        PrefixHit("r1", 1, 1, 4, 0, False),
        PrefixMissed("r1", 1, 0, "no such prefix", False),
    )
    assert state.block(0) == Block(0, ((1, 0),), 3, hash="aa", cached=-1)
    assert state.sequences[1].computed == 4
    assert (state.counters.hit_tokens, state.counters.missed_tokens) == (4, 0)
    assert state.memory() == MemoryUse(used=4, cached=0, internal=0, free=12)


def test_what_a_request_finds_of_itself_is_no_hit(state):
    after(state, RequestPreempted("r0", "recompute", "full", 2, 6))
    ended(state)
    after(
        state,
        RequestScheduled("r0", True),
        BlockShared("device", 0, 0, 0, 0, 1),
        PrefixHit("r0", 0, 1, 4, 0, True),
        PrefixMissed("r0", 0, 4, "no such prefix", True),
    )
    assert state.sequences[0].computed == 4
    counters = state.counters
    assert (counters.hit_tokens, counters.missed_tokens, counters.lost_tokens) == (0, 0, 6)


def test_an_eviction_frees_the_block_and_is_remembered(state):
    ended(state)
    state.step = 9
    after(state, BlockEvicted("device", 0, 0, "aa", "lru", "used least recently", 6))
    assert state.block(0) is None
    assert state.evicted == {"device": {0: Eviction(9, "lru", "used least recently")}}
    assert state.memory() == MemoryUse(0, 0, 0, 16)
    after(state, BlockAllocated("device", 0, 0, 0, 0, "prefill"))
    assert state.evicted["device"][0].step == 9, "it stays, whoever has the block since"
    assert state.counters.evicted == 1


def test_evicted_content_may_go_down_to_the_host(state):
    ended(state)
    state.step = 7
    after(
        state,
        BlockCached("host", 0, 2, "aa"),
        SwappedOut("", ((0, 2),), 512, 9),
        BlockEvicted("device", 0, 0, "aa", "lru", "used least recently", 4),
    )
    assert state.block(2, "host") == Block(0, (), 7, hash="aa", cached=7, moved_from=0)
    assert state.memory("host") == MemoryUse(used=0, cached=4, internal=0, free=12)
    assert state.memory() == MemoryUse(0, 0, 0, 16)
    assert (state.counters.swapped_out, state.counters.swapped_bytes) == (1, 512)


def test_a_hit_in_the_host_tier_brings_its_block_up(state):
    after(ended(state), BlockEvicted("device", 0, 0, "aa", "lru", "", 0), BlockCached("host", 0, 2, "aa"))
    after(
        state,
        RequestAdded("r1", (1,), PROMPT, (), 8),
        RequestScheduled("r1", False),
        BlockAllocated("device", 0, 3, 1, 0, "prefix_hit"),
        SwappedIn("r1", ((2, 3),), 512, 9),
        BlockFreed("host", 0, 2),
        PrefixHit("r1", 1, 1, 4, 1, False),
    )
    assert state.block(3) == Block(0, ((1, 0),), 3, hash="aa", moved_from=2)
    assert state.memory() == MemoryUse(4, 0, 0, 12)
    assert state.memory("host") == MemoryUse(0, 0, 0, 16)
    assert (state.counters.hit_tokens, state.counters.swapped_in) == (4, 1)


def test_a_request_is_swapped_out_and_in_with_its_tokens(state):
    after(
        state,
        SequenceForked("r0", 0, 7, 6),
        BlockShared("device", 0, 0, 7, 0, 2),
        BlockShared("device", 0, 1, 7, 1, 2),
    )
    apply(state, RequestPreempted("r0", "swap", "full", 2, 0))
    assert (state.requests["r0"].status, state.sequences[0].status) == ("swapped", "swapped")
    after(
        state,
        BlockAllocated("host", 0, 3, 0, 0, "swap_out"),
        BlockAllocated("host", 0, 2, 0, 1, "swap_out"),
        BlockShared("host", 0, 3, 7, 0, 2),
        BlockShared("host", 0, 2, 7, 1, 2),
        SwappedOut("r0", ((0, 3), (1, 2)), 1024, 9),
        BlockReleased("device", 0, 1, 0, 1, 1),
        BlockReleased("device", 0, 0, 0, 0, 1),
        BlockReleased("device", 0, 1, 7, 1, 0),
        BlockFreed("device", 0, 1),
        BlockReleased("device", 0, 0, 7, 0, 0),
        BlockFreed("device", 0, 0),
    )
    assert state.sequences[7].tables == {0: [("host", 3), ("host", 2)]}
    assert state.memory() == MemoryUse(0, 0, 0, 16)
    assert state.memory("host") == MemoryUse(used=6, cached=0, internal=2, free=8)
    assert (state.block(3, "host").moved_from, state.block(3, "host").hash) == (0, "aa")
    after(
        state,
        RequestScheduled("r0", True),
        BlockAllocated("device", 0, 2, 0, 0, "swap_in"),
        BlockAllocated("device", 0, 1, 0, 1, "swap_in"),
        BlockShared("device", 0, 2, 7, 0, 2),
        BlockShared("device", 0, 1, 7, 1, 2),
        SwappedIn("r0", ((3, 2), (2, 1)), 1024, 9),
        BlockReleased("host", 0, 2, 0, 1, 1),
        BlockReleased("host", 0, 3, 0, 0, 1),
        BlockReleased("host", 0, 2, 7, 1, 0),
        BlockFreed("host", 0, 2),
        BlockReleased("host", 0, 3, 7, 0, 0),
        BlockFreed("host", 0, 3),
    )
    assert state.sequences[7].tables == {0: [("device", 2), ("device", 1)]}
    assert [state.sequences[number].status for number in (0, 7)] == ["running", "running"]
    assert [state.sequences[number].computed for number in (0, 7)] == [6, 6]
    assert state.memory() == MemoryUse(used=6, cached=0, internal=2, free=8)
    assert (state.counters.swapped_out, state.counters.swapped_in, state.counters.lost_tokens) == (2, 2, 0)


def test_a_sequence_that_has_not_begun_is_not_swapped():
    state = State(4, {"device": 4, "host": 4})
    after(state, RequestAdded("r0", (0, 1), PROMPT, (), 8), RequestScheduled("r0", False))
    after(state, RequestPreempted("r0", "swap", "full", 0, 0))
    assert [state.sequences[number].status for number in (0, 1)] == ["swapped", "waiting"]
    after(state, RequestScheduled("r0", True))
    assert [state.sequences[number].status for number in (0, 1)] == ["running", "waiting"]


def test_equal_content_is_kept_once(state):
    after(
        state,
        RequestAdded("r1", (1,), PROMPT, (), 8),
        RequestScheduled("r1", False),
        StepStarted(((1, 0, 6),)),
        BlockAllocated("device", 0, 2, 1, 0, "prefill"),
        BlockAllocated("device", 0, 3, 1, 1, "prefill"),
        StepFinished(1, 6, 0),
        BlockFilled("device", 0, 2, 1, 0, "aa"),
        BlockShared("device", 0, 0, 1, 0, 2),
        BlockReleased("device", 0, 2, 1, 0, 0),
        BlockFreed("device", 0, 2),
    )
    assert state.sequences[1].tables == {0: [("device", 0), ("device", 3)]}
    assert state.block(0).holders == ((0, 0), (1, 0))
    assert state.memory() == MemoryUse(used=8, cached=0, internal=4, free=4)


def test_a_reset_frees_cached_blocks_of_both_tiers_and_forgets_names(state):
    after(state, BlockCached("device", 0, 3, "cc"), BlockCached("host", 0, 0, "dd"), PrefixCacheReset(2))
    assert sorted(state.blocks["device"]) == [0, 1]
    assert state.blocks["host"] == {}
    assert state.block(0).hash == ""
    assert state.counters.freed == 2


def test_a_beam_begins_as_a_copy_and_is_forgotten_when_dropped(state):
    state.sequences[0].texts[0] = "one"
    after(
        state,
        SequenceForked("r0", 0, 5, 6),
        BlockShared("device", 0, 0, 5, 0, 2),
        BlockShared("device", 0, 1, 5, 1, 2),
        TokenAppended(0, 6, 70, "x"),
        TokenAppended(5, 6, 71, "y"),
    )
    beam = state.sequences[5]
    assert (beam.request, beam.num_prompt, beam.status, beam.computed) == ("r0", 6, "running", 6)
    assert (beam.tokens, beam.texts) == ([*PROMPT, 71], ["one", "", "", "", "", "", "y"])
    assert state.requests["r0"].sequences == [0, 5]
    state.scheduled.append((5, 0, 6))
    after(
        state,
        BlockReleased("device", 0, 1, 5, 1, 1),
        BlockReleased("device", 0, 0, 5, 0, 1),
        SequenceDropped("r0", 5),
    )
    assert state.requests["r0"].sequences == [0]
    assert 5 not in state.sequences
    assert state.scheduled == [(0, 0, 6)]
