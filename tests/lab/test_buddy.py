"""The buddy allocator against a list of slots that is searched from its beginning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pagedviz.lab.buddy import BuddyAllocator


def pieces_of(free, num_slots):
    """The free pieces as a naive reader finds them: (size, address), halved from each power of two of the pool."""

    def parts(address, size):
        if all(free[address : address + size]):
            yield size, address
        elif size > 1:
            yield from parts(address, size // 2)
            yield from parts(address + size // 2, size // 2)

    address = 0
    for order in reversed(range(num_slots.bit_length())):
        if num_slots & (1 << order):
            yield from parts(address, 1 << order)
            address += 1 << order


class Buddies(RuleBasedStateMachine):
    @initialize(num_slots=st.integers(1, 90))
    def make(self, num_slots):
        self.num_slots = num_slots
        self.buddy = BuddyAllocator(num_slots)
        self.free = [True] * num_slots
        self.taken = {}

    @rule(size=st.integers(1, 100))
    def allocate(self, size):
        rounded = next(2**k for k in range(8) if 2**k >= size)
        fitting = sorted(piece for piece in pieces_of(self.free, self.num_slots) if piece[0] >= rounded)
        assert self.buddy.can_allocate(size) == bool(fitting)
        if fitting:
            address = self.buddy.allocate(size)
            assert address == fitting[0][1]
            self.taken[address] = rounded
            self.free[address : address + rounded] = [False] * rounded

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def release(self, data):
        address = data.draw(st.sampled_from(sorted(self.taken)))
        size = self.taken.pop(address)
        self.buddy.release(address)
        self.free[address : address + size] = [True] * size

    @invariant()
    def agrees(self):
        assert self.buddy.num_free == sum(self.free)
        listed = {(1 << order, address) for order, at in enumerate(self.buddy._free) for address in at}
        assert listed == set(pieces_of(self.free, self.num_slots))


TestBuddies = Buddies.TestCase


@pytest.mark.parametrize(
    ("size", "rounded"), [(1, 1), (2, 2), (3, 4), (16, 16), (17, 32), (2048, 2048), (2049, 4096)]
)
def test_sizes_are_rounded_up(size, rounded):
    assert BuddyAllocator.rounded(size) == rounded


def test_the_papers_pool_has_room_for_seven_requests_of_the_maximum():
    buddy = BuddyAllocator(15_700)
    assert [buddy.allocate(2048) for _ in range(7)] == [12288, 8192, 10240, 0, 2048, 4096, 6144]
    assert not buddy.can_allocate(2048)
    assert buddy.num_free == 15_700 - 7 * 2048 == 1364


@given(st.integers(1, 300))
def test_all_that_comes_back_is_whole_again(num_slots):
    buddy, fresh = BuddyAllocator(num_slots), BuddyAllocator(num_slots)
    addresses = [buddy.allocate(1) for _ in range(num_slots)]
    assert sorted(addresses) == list(range(num_slots))
    for address in addresses[::2] + addresses[1::2]:
        buddy.release(address)
    assert buddy._free == fresh._free
