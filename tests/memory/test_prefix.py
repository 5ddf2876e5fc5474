"""How much of a prompt is found, where, and what is said of the rest."""

import pytest

from pagedviz.memory import BlockManager, Swapper
from pagedviz.memory.prefix import Prefix

SIZE = 2
TOKENS = [1, 2, 3, 4, 5, 6]


def memory(device=8, host=8, groups=1, **options):
    manager = BlockManager(device, SIZE, groups, num_host_blocks=host, caching=True, **options)
    return manager, Swapper(manager)


def cache(manager, tokens, step=1, sequence=0):
    manager.set_step(step)
    manager.begin()
    manager.write(sequence, 0, len(tokens), "prefill")
    manager.fill(sequence, tokens, len(tokens))
    names = list(manager.names.of(sequence))
    manager.release(sequence)
    return names


@pytest.mark.parametrize(("length", "found"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3)])
def test_one_token_at_least_is_left_to_compute(length, found):
    manager, _ = memory()
    cache(manager, [*TOKENS, 7, 8])
    prefix = manager.finder.find(9, [*TOKENS, 7, 8][:length])
    assert (prefix.found, prefix.on_device) == (found, found)
    assert prefix.missed == ("shorter than a block" if length <= SIZE else None)


def test_the_names_of_a_prompt_that_grew_are_looked_up_anew():
    manager, _ = memory()
    cache(manager, TOKENS)
    assert manager.finder.find(9, TOKENS[:3]).found == 1
    assert manager.finder.find(9, [*TOKENS[:5], 0]).found == 2


def test_a_block_counts_as_on_the_device_only_if_all_before_it_are():
    manager, swapper = memory(device=3)
    cache(manager, TOKENS)
    swapper.pin(manager.finder.find(9, [*TOKENS, 0]).names[1:])
    swapper.make_room(1)  # the first block goes down, the second and third stay
    swapper.unpin()
    prefix = manager.finder.find(9, [*TOKENS, 0])
    assert (prefix.on_device, prefix.found, prefix.missed) == (0, 3, None)


def test_a_block_is_found_where_every_group_of_layers_has_it():
    manager, swapper = memory(device=6, host=6, groups=2)
    names = cache(manager, TOKENS)
    victims = [entry.key for entry, _ in manager.device.victims(3)]
    swapper.make_room(3)
    below = {logical: [g for g in range(2) if (g, name) in victims] for logical, name in enumerate(names)}
    assert below == {0: [0], 1: [0], 2: [0]}
    prefix = manager.finder.find(9, [*TOKENS, 0])
    assert (prefix.on_device, prefix.found) == (0, 3)
    manager.host.evict(manager.host.victims(1))
    lost = next(logical for logical, name in enumerate(names) if manager.host.find((0, name)) is None)
    prefix = manager.finder.find(9, [*TOKENS, 0])
    assert (prefix.found, prefix.missed) == (lost, "evicted at step 1 by lru")


def test_the_latest_loss_is_told():
    manager, swapper = memory(device=4, host=0)
    for step in (3, 8):
        cache(manager, TOKENS[:2], step)
        manager.set_step(step + 1)
        swapper.make_room(4)
    assert manager.finder.find(9, TOKENS[:3]).missed == "evicted at step 9 by lru"
    assert manager.finder.find(8, [7, 7, 7]).missed == "no such prefix"


def test_the_latest_loss_is_told_whichever_tier_it_was_in():
    manager, swapper = memory(device=4, host=2)
    cache(manager, TOKENS[:2], 3)
    swapper.make_room(4)
    manager.set_step(6)
    manager.host.evict(manager.host.victims(1))
    cache(manager, TOKENS[:2], 8)
    manager.set_step(9)
    manager.device.evict(manager.device.victims(1))
    assert manager.device.lost((0, manager.finder.find(9, TOKENS[:3]).names[0])) == (9, "lru")
    assert manager.finder.find(9, TOKENS[:3]).missed == "evicted at step 9 by lru"


def test_a_loss_below_after_one_above_is_the_latest():
    manager, swapper = memory(device=4, host=2)
    cache(manager, TOKENS[:2], 3)
    manager.set_step(4)
    swapper.make_room(4)
    manager.set_step(6)
    manager.host.evict(manager.host.victims(1))
    assert manager.finder.find(9, TOKENS[:3]).missed == "evicted at step 6 by lru"


def test_what_is_in_memory_again_is_not_said_to_be_lost():
    manager, swapper = memory(device=4, host=0)
    cache(manager, TOKENS, 3)
    swapper.make_room(3)  # the third block and the second are lost
    cache(manager, TOKENS[:4], 5)
    prefix = manager.finder.find(9, [*TOKENS, 0])
    assert (prefix.found, prefix.missed) == (2, "evicted at step 3 by lru")


def test_without_a_cache_nothing_is_looked_for():
    manager = BlockManager(4, SIZE)
    assert manager.finder.find(0, TOKENS) == Prefix((), 0, 0, None)


def test_salts_are_looked_for_apart():
    manager, _ = memory()
    cache(manager, TOKENS)
    assert manager.finder.find(9, [*TOKENS, 0], "salt").found == 0
