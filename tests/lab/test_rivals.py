"""Each rival's split, worked out by hand, and under random use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagedviz.errors import ConfigError
from pagedviz.lab import RIVALS, Request, Server
from pagedviz.lab.holdings import Holding, Occupancy, WasteSplit, split


def serve(name, num_slots, *requests, max_model_len=16, block_size=4):
    server = Server(RIVALS[name](num_slots, max_model_len, block_size), max_model_len)
    for key, request in enumerate(requests):
        server.add(key, request)
    server.step()
    return server


def test_the_papers_figure_3():
    # Request A: 8 tokens there, 2 to come, 2048 reserved. Request B: 4 there, 1 to come, 512 reserved.
    held = [Occupancy(8, 10, Holding(2048, 2048)), Occupancy(4, 5, Holding(512, 512))]
    assert split(4096, 1536, held, useful=False) == (12, 3, 2038 + 507, 1536, 0)
    assert split(4096, 1536, held, useful=True) == (12, 3, 2038 + 507, 0, 1536)


def test_max():
    # 37 = 32 + 4 + 1 slots have room for two pieces of 16; 5 slots are of no use.
    server = serve("max", 37, Request(5, 4), Request(6, 2), Request(1, 1))
    assert [tenant.key for tenant in server.held] == [0, 1]
    assert server.split() == (5 + 6, 3 + 1, 8 + 9, 5, 0)


def test_pow2():
    # 5 + 4 slots lie in 16, and 6 + 2 in 8; 3 + 8 need 16, and of the 13 that are free 8 lie together.
    server = serve("pow2", 37, Request(5, 3), Request(6, 2), Request(3, 7))
    assert [tenant.key for tenant in server.held] == [0, 1]
    assert server.split() == (5 + 6, 2 + 1, 2 + 1, 7 + 0 + 13, 0)


def test_pow2_promises_no_more_than_the_model_allows():
    server = serve("pow2", 64, Request(6, 9))
    assert server.split() == (6, 8, 2, 0, 48)


def test_oracle():
    # 7 slots lie in 8, and 9 in 16; the next needs 16, and of the 13 that are free 8 lie together.
    server = serve("oracle", 37, Request(5, 3), Request(6, 4), Request(8, 2))
    assert [tenant.key for tenant in server.held] == [0, 1]
    assert server.split() == (5 + 6, 2 + 3, 0, 1 + 7 + 13, 0)
    server.end(0)
    assert server.split() == (6, 3, 0, 7, 21)
    server.step()
    assert server.split() == (6 + 8, 3 + 1, 0, 7 + 7, 5)


def test_paged():
    # 5 blocks of 4, and 2 slots that make none. 5 tokens of 7 lie in 2 blocks, 6 of 7 too; 5 need more than one.
    server = serve("paged", 22, Request(5, 3), Request(6, 2), Request(5, 1))
    assert [tenant.key for tenant in server.held] == [0, 1]
    assert server.split() == (5 + 6, 2 + 1, 1 + 1, 4 + 2, 0)
    server.end(1)
    assert server.split() == (5, 2, 1, 2, 12)


def test_paged_preempts_the_newest_and_takes_it_back():
    server = serve("paged", 16, Request(7, 9), Request(6, 3))
    assert server.split() == (13, 3, 0, 0, 0)
    server.grow(0, 9)
    server.grow(1, 7)
    server.step()
    assert ([tenant.key for tenant in server.held], server.preemptions) == ([0], 1)
    assert server.split() == (9, 3, 0, 4, 0)
    server.end(0)
    server.step()
    assert [tenant.key for tenant in server.held] == [1]
    assert server.split() == (7, 1, 0, 0, 8)


@pytest.mark.parametrize("name", RIVALS)
def test_what_cannot_be_served_does_not_hold_up_the_rest(name):
    # 17 slots are more than the model allows; 16 are more than the pool has.
    server = serve(
        name, 15, Request(10, 8), Request(16, 1), Request(3, 1), max_model_len=16 if name != "max" else 8
    )
    assert server.refused == 2
    assert [tenant.key for tenant in server.held] == [2]
    server.grow(0, 11)
    server.end(0)
    assert server.split().total == 15


def test_a_paged_request_that_outgrows_the_pool_is_refused():
    server = serve("paged", 8, Request(8, 3))
    server.grow(0, 9)
    server.step()
    assert (len(server.held), len(server.waiting), server.refused) == (0, 1, 0)
    server.step()
    assert (len(server.held), len(server.waiting), server.refused) == (0, 0, 1)


@pytest.mark.parametrize("size", [0, 9])
def test_blocks_must_fit_in_the_pool(size):
    with pytest.raises(ConfigError):
        RIVALS["paged"](8, 8, size)


@pytest.mark.parametrize(("num_slots", "longest"), [(0, 8), (8, 0)])
def test_a_pool_has_slots(num_slots, longest):
    with pytest.raises(ConfigError):
        RIVALS["max"](num_slots, longest, 4)


@pytest.mark.parametrize("name", RIVALS)
def test_every_rival_explains_itself(name):
    sentence = RIVALS[name](64, 16, 4).explain()
    assert sentence[0].isupper()
    assert sentence.endswith(".")


@pytest.mark.parametrize("name", RIVALS)
@given(data=st.data(), num_slots=st.integers(1, 70), longest=st.integers(2, 24))
def test_random_use(name, data, num_slots, longest):
    """Whatever happens, the parts add up, none is negative, and nobody is forgotten or there twice."""
    size = data.draw(st.integers(1, min(6, num_slots)))
    rival = RIVALS[name](num_slots, longest, size)
    server = Server(rival, longest)
    tokens, final = {}, {}
    for key in range(data.draw(st.integers(1, 25))):
        if data.draw(st.booleans()):
            prompt = data.draw(st.integers(1, longest - 1))
            request = Request(prompt, data.draw(st.integers(1, longest - prompt)))
            tokens[key], final[key] = prompt, request.slots
            server.add(key, request)
        if data.draw(st.booleans()):
            server.step()
        for other in list(tokens):
            if tokens[other] == final[other] or data.draw(st.integers(0, 9)) == 0:
                server.end(other)
                del tokens[other]
            elif data.draw(st.booleans()):
                tokens[other] += 1
                server.grow(other, tokens[other])
        parts = server.split()
        assert isinstance(parts, WasteSplit)
        assert parts.total == num_slots
        assert min(parts) >= 0
        assert parts.used == sum(tenant.written for tenant in server.held)
        there = [tenant.key for tenant in (*server.held, *server.waiting)]
        assert len(there) == len(set(there))
        assert set(there) <= set(tokens)
        if name == "oracle":
            assert parts.internal == 0
        if name == "paged":
            manager = rival.manager
            manager.check()
            blocks = sum(len(manager.tables(key)[0]) for key in manager.sequences())
            assert sorted(manager.sequences()) == sorted(tenant.key for tenant in server.held)
            assert parts.used + parts.reserved + parts.internal == blocks * size
            assert rival.num_free == (num_slots // size - blocks) * size
    for key in list(tokens):
        server.end(key)
    assert server.split() == (0, 0, 0, num_slots - rival.num_free, rival.num_free)
    assert rival.num_free == (num_slots // size * size if name == "paged" else num_slots)
