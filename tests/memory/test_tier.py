"""What a tier notes of its blocks: when each was used, and for how long it knows what it lost."""

import pytest

from pagedviz.events import BlockCached, BlockEvicted, BlockFreed
from pagedviz.memory.eviction import CachedBlock
from pagedviz.memory.tier import Tier


@pytest.fixture
def events():
    return []


@pytest.fixture
def tier(events):
    """Three blocks that are cached by first in, first out."""
    return Tier("device", 3, events.append, "lru")


def cache(tier, content, step=None):
    """A block with this content that nobody has any more."""
    if step is not None:
        tier.set_step(step)
    block = tier.pool.take()
    tier.cache.name(block, (0, content), 0, tier.step)
    assert tier.pool.drop(block) == 0
    tier.let_go(0, block)
    return block


def lose(tier, content, step):
    """Cache and evict a content in one step."""
    cache(tier, content, step)
    tier.evict(tier.victims(1))


def test_idle_blocks_can_be_had_and_are_not_free(tier):
    cache(tier, "a", 1)
    assert (tier.pool.num_free, tier.num_idle, tier.num_available) == (2, 1, 3)
    tier.own(tier.find((0, "a")))
    assert (tier.pool.num_free, tier.num_idle, tier.num_available) == (2, 0, 2)


def test_a_named_block_is_kept_and_one_without_a_name_is_freed(tier, events):
    kept, freed = cache(tier, "a", 1), tier.pool.take()
    tier.pool.drop(freed)
    assert tier.let_go(0, freed) is False
    assert events == [BlockCached("device", 0, kept, "a"), BlockFreed("device", 0, freed)]


def test_an_eviction_tells_how_many_steps_ago_the_block_was_used(tier, events):
    block = cache(tier, "a", 2)
    tier.own(block)
    tier.pool.drop(block)
    tier.set_step(5)
    tier.let_go(0, block)
    tier.set_step(12)
    tier.evict(tier.victims(1))
    why = "least recently used: last used in step 5, of 1 candidate"
    assert events[-1] == BlockEvicted("device", 0, block, "a", "lru", why, 7)


def test_what_is_lost_is_known_by_step_and_policy(tier):
    lose(tier, "a", 5)
    assert tier.lost((0, "a")) == (5, "lru")
    assert tier.lost((1, "a")) is None


def test_what_another_tier_keeps_is_not_lost(tier):
    cache(tier, "a", 5)
    tier.evict(tier.victims(1), lost=False)
    assert tier.find((0, "a")) is None
    assert tier.lost((0, "a")) is None


def test_four_losses_a_block_are_known_then_the_oldest_are_forgotten(tier):
    for number in range(12):
        lose(tier, f"c{number}", number + 1)
    assert tier.lost((0, "c0")) == (1, "lru")
    lose(tier, "c12", 13)
    forgotten = [number for number in range(13) if tier.lost((0, f"c{number}")) is None]
    assert forgotten == [0, 1, 2], "as many as there are blocks at a time"


def test_what_is_lost_again_is_known_as_long_as_if_it_had_been_lost_once(tier):
    for number in range(12):
        lose(tier, f"c{number}", number + 1)
    lose(tier, "c0", 13)
    lose(tier, "c12", 14)
    assert tier.lost((0, "c0")) == (13, "lru")
    assert tier.lost((0, "c1")) is None


def test_contents_are_numbered_in_the_order_in_which_they_were_first_cached(tier):
    cache(tier, "a", 1)
    cache(tier, "b", 1)
    assert [tier.cache.find((0, content)).serial for content in "ab"] == [1, 2]


def test_a_reset_forgets_what_was_lost(tier):
    lose(tier, "a", 5)
    cache(tier, "b", 6)
    assert tier.clear() == 1
    assert tier.lost((0, "a")) is None
    assert tier.find((0, "b")) is None
    assert tier.pool.num_free == 3


def test_what_a_failed_step_did_is_counted_to_the_one_before(tier):
    lose(tier, "before", 3)
    lose(tier, "failed", 7)
    cache(tier, "kept", 7)
    tier.set_step(6)
    entry = tier.cache.find((0, "kept"))
    assert (entry.born, entry.used) == (6, 6)
    assert tier.lost((0, "failed")) == (6, "lru")
    assert tier.lost((0, "before")) == (3, "lru")


def test_what_was_cached_before_a_failed_step_keeps_its_step(tier):
    cache(tier, "a", 2)
    tier.set_step(7)
    tier.set_step(6)
    entry = tier.cache.find((0, "a"))
    assert (entry.born, entry.used) == (2, 2)


def test_a_pinned_block_is_no_candidate_and_was_not_used(tier):
    cache(tier, "a", 2)
    other = cache(tier, "b", 3)
    tier.set_step(9)
    tier.pin((0, "a"))
    assert tier.num_idle == 1
    assert [entry.block for entry, _ in tier.victims(1)] == [other]
    tier.unpin()
    assert tier.num_idle == 2
    assert tier.cache.find((0, "a")).used == 2


def test_a_pinned_block_that_found_an_owner_stays_with_it(tier):
    block = cache(tier, "a", 2)
    tier.pin((0, "a"))
    tier.pool.share(block)
    tier.unpin()
    assert tier.num_idle == 0


def test_another_policy_learns_of_idle_blocks_in_the_order_in_which_they_were_used(tier):
    class Told:
        def __init__(self):
            self.contents = []

        def add(self, block):
            self.contents.append(block.key[1])

        def remove(self, block, evicted):
            self.contents.remove(block.key[1])

    tier.cache.policy.remove, tier.cache.policy.add = (lambda *_: None), (lambda *_: None)
    for content, block, depth, used in [("late", 0, 0, 9), ("end", 1, 8, 4), ("begin", 2, 0, 4)]:
        entry = CachedBlock(block, (0, content), depth, block, 1)
        tier.cache._by_key[entry.key] = tier.cache._by_block[block] = entry
        tier.cache.retire(entry, used)
    told = Told()
    tier.cache.change_policy(told)
    assert told.contents == ["end", "begin", "late"], "of one sequence's blocks the last goes first"
