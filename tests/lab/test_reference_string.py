"""The flat replay against the textbook's numbers, a few lines of plain Python, and policies of one's own."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pagedviz as pv
from pagedviz.lab import TEXTBOOK, replay
from pagedviz.memory import POLICIES
from pagedviz.memory.eviction.fifo import FIFO
from pagedviz.memory.eviction.lru import LRU

STRINGS = st.lists(st.integers(0, 7), max_size=60)
SIZES = st.integers(1, 6)


@pytest.mark.parametrize(
    ("policy", "faults"),
    [("fifo", {3: 9, 4: 10}), ("lru", {3: 10, 4: 8}), ("belady", {3: 7, 4: 6})],
)
def test_the_textbook_has_these_faults_and_beladys_anomaly(policy, faults):
    """Belady, Nelson and Shedler (CACM, 1969): first in, first out has more faults with more frames."""
    assert {size: replay(TEXTBOOK, policy, size).faults for size in (3, 4)} == faults


def plain_faults(string, size, *, moves):
    """Faults of first in, first out; with ``moves`` a hit counts as coming anew, which is least recently used."""
    held, faults = OrderedDict(), 0
    for reference in string:
        if reference in held:
            if moves:
                held.move_to_end(reference)
            continue
        faults += 1
        if len(held) == size:
            held.popitem(last=False)
        held[reference] = None
    return faults


@given(STRINGS, SIZES)
def test_fifo_and_lru_are_those_of_a_few_plain_lines(string, size):
    assert replay(string, "fifo", size).faults == plain_faults(string, size, moves=False)
    assert replay(string, "lru", size).faults == plain_faults(string, size, moves=True)


def least_faults(string, size):
    """The fewest that any choice of victims has: all of them are tried, by sets of what is held."""
    states = {frozenset(): 0}
    for reference in string:
        after = {}
        for held, faults in states.items():
            if reference in held:
                reached = [held]
            elif len(held) < size:
                reached = [held | {reference}]
            else:
                reached = [held - {gone} | {reference} for gone in held]
            for new in reached:
                after[new] = min(after.get(new, len(string)), faults + (reference not in held))
        states = after
    return min(states.values())


@given(st.lists(st.integers(0, 4), max_size=14), st.integers(1, 3))
def test_nobody_has_fewer_faults_than_belady(string, size):
    assert replay(string, "belady", size).faults == least_faults(string, size)


@pytest.mark.parametrize("policy", POLICIES)
@given(STRINGS, SIZES)
def test_every_access_follows_from_the_one_before(policy, string, size):
    told = replay(string, policy, size)

    assert [access.reference for access in told.accesses] == string
    for place, access in enumerate(told.accesses):
        before, after = told.frames(place), told.frames(place + 1)
        assert access.hit == (access.reference in before)
        assert after[access.frame] == access.reference
        others = [number for number in range(size) if number != access.frame]
        assert [before[number] for number in others] == [after[number] for number in others]
        assert access.evicted == (None if access.hit else before[access.frame])
        assert bool(access.why) == (access.evicted is not None)
        assert access.evicted is None or None not in before, "nothing goes while a frame is free"
    assert (told.hits + told.faults, told.policy, told.size) == (len(string), policy, size)


def test_texts_numbers_and_other_libraries_numbers_are_references():
    assert replay("a b a", "lru", 2) == replay(["a", "b", "a"], "lru", 2) == replay("aba", "lru", 2)
    assert replay("aba", "lru", 2).hits == 1
    assert replay("x y", "lru", 1).frames() == ("y",)
    assert replay(np.array([1, 2, 1]), "lru", 2) == replay([1, 2, 1], "lru", 2)
    assert replay([1, "1", 1], "lru", 2).hits == 1, "a number and its text are two contents"
    assert replay([], "lru", 3).hit_rate == 0
    assert replay(iter(range(9)), "lru", 3).faults == 9
    assert repr(replay(TEXTBOOK, "fifo", 4)) == "<fifo, 4 frames: 2 hits, 10 faults>"


class Stubborn(FIFO):
    name = "stubborn"

    def victims(self, count):
        return [self.chosen] * count

    chosen = 99


def test_a_policy_of_ones_own_needs_four_methods():
    class Newest:
        """Takes what came last, without a base class."""

        def __init__(self, size, seed):
            self.held = {}

        def add(self, block):
            self.held[block.block] = block

        def remove(self, block, evicted):
            del self.held[block.block]

        def victims(self, count):
            return sorted(self.held, key=lambda number: -self.held[number].serial)[:count]

        def explain(self, block):
            return "it came last"

    told = replay([1, 2, 3, 1, 2], Newest, 2)
    assert [access.evicted for access in told.accesses] == [None, None, 2, None, 3]
    assert told.accesses[2].why == "it came last"
    assert told == replay([1, 2, 3, 1, 2], Newest(2, 0), 2)
    assert replay(TEXTBOOK, LRU, 3).faults == 10
    with pytest.raises(pv.PolicyError, match="chose block 99, which is not one of the 2 blocks"):
        replay([1, 2, 3], Stubborn, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], "newest", 3), "policy='newest': unknown; valid: 'arc', 'belady'"),
        (([1], "lru", 0), "size=0: must be a whole number, 1 or more"),
        (([1], "lru", 2.5), "size=2.5: must be a whole number"),
        ((7, "lru", 3), "references=7: must be a sequence"),
        (([1, [2]], "lru", 3), r"references\[1\]=\[2\]: must be a whole number or a text"),
        (([1], object(), 3), "which lacks add, remove, victims, explain"),
    ],
)
def test_what_cannot_be_replayed_is_refused_at_the_call(arguments, message):
    with pytest.raises(pv.ConfigError, match=message):
        replay(*arguments)
    with pytest.raises(pv.ConfigError, match=r"count=4: must be a whole number"):
        replay([1, 2, 3]).frames(4)


@pytest.mark.parametrize("policy", ["lfu", "clock", "slru", "arc"])
def test_policies_are_told_what_was_found(policy):
    """2 came last, but 1 was found since it came."""
    assert replay([1, 2, 1, 3], policy, 2).accesses[-1].evicted == 2
    assert replay([1, 1, 2, 3], policy, 2).accesses[-1].evicted == 2, "lru would take 1"
