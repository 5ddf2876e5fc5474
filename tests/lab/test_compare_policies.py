"""Hit rates of policies: nobody beats the one that knows the future, and a seed decides everything."""

import json
import math
from functools import cache
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagedviz.cli import main
from pagedviz.errors import ConfigError
from pagedviz.figures.plotly.hit_rates import hit_rates
from pagedviz.lab import PREFIX_WORKLOADS, Chats, Future, TokenRequest, compare, pool_sizes
from pagedviz.memory import POLICIES

SIZE = 2


def one_block(content):
    """A request for one block, and one token over it."""
    return TokenRequest((content, content, 0))


def rates(rows):
    return {row.policy: row.hit_tokens for row in rows}


def best_possible(contents, room):
    """The most hits that anybody can have who keeps ``room`` contents and must take what comes."""

    @cache
    def most(place, kept):
        if place == len(contents):
            return 0
        wanted = contents[place]
        if wanted in kept:
            return 1 + most(place + 1, kept)
        if len(kept) < room:
            return most(place + 1, kept | {wanted})
        return max(most(place + 1, kept - {out} | {wanted}) for out in kept)

    return most(0, frozenset())


@settings(max_examples=60)
@given(contents=st.lists(st.integers(1, 6), min_size=1, max_size=24), room=st.integers(1, 4))
def test_belady_is_the_best_for_single_blocks(contents, room):
    # A block more: a request needs one for the token that is left over.
    found = rates(compare([one_block(content) for content in contents], room + 1, block_size=SIZE))
    assert found["belady"] == max(found.values()) == SIZE * best_possible(tuple(contents), room)


tree = st.lists(st.integers(0, 1), min_size=1, max_size=7)


@settings(max_examples=60)
@given(
    asked=st.lists(st.tuples(tree, st.lists(st.integers(0, 1), max_size=5)), min_size=2, max_size=16),
    more=st.integers(0, 4),
)
def test_nobody_beats_belady_where_prefixes_are_shared(asked, more):
    requests = [TokenRequest(tuple(prompt), (tuple(output),)) for prompt, output in asked]
    blocks = max(request.num_blocks(1) for request in requests) + more
    found = rates(compare(requests, blocks, block_size=1))
    assert found["belady"] == max(found.values())


@pytest.mark.parametrize("workload", PREFIX_WORKLOADS)
def test_every_policy_runs_and_belady_leads(workload):
    requests = PREFIX_WORKLOADS[workload].requests(60)
    sizes = pool_sizes(requests, shares=(1 / 4, 1 / 2))
    rows = compare(requests, sizes)
    assert [(row.num_blocks, row.policy) for row in rows] == [(size, name) for size in sizes for name in POLICIES]
    for size in sizes:
        here = {row.policy: row for row in rows if row.num_blocks == size}
        assert here["belady"].hit_tokens == max(row.hit_tokens for row in here.values())
        assert here["belady"].hit_rate > here["mru"].hit_rate
        assert all(row.hit_rate == row.hit_tokens / row.looked_for_tokens for row in here.values())


def test_with_room_for_all_nobody_evicts():
    requests = Chats().requests(40)
    [all_of_it] = pool_sizes(requests, shares=(1.0,))
    rows = compare(requests, all_of_it + 100)
    assert {row.evictions for row in rows} == {0}
    assert len({row.hit_tokens for row in rows}) == 1


@pytest.mark.parametrize("policy", ["random", "lru", "belady"])
def test_a_seed_decides_everything(policy):
    requests = Chats().requests(50, seed=3)
    first, again = (compare(requests, [200], [policy], seed=1) for _ in range(2))
    assert first == again
    assert (compare(requests, [200], [policy], seed=2) == first) == (policy != "random")


def test_a_class_of_ones_own_is_compared_too():
    class Mine(POLICIES["lru"]):
        name = "mine"

    mine, lru = compare(Chats().requests(30), 200, [Mine, "lru"])
    assert (mine.policy, mine.hit_tokens) == ("mine", lru.hit_tokens)
    with pytest.raises(ConfigError, match=r"\['lrru'\]: unknown; valid: .*belady"):
        compare([], 8, ["lrru"])


def test_the_future_is_what_comes_after_now():
    requests = [one_block(content) for content in (1, 2, 1)]
    future = Future(requests, SIZE)
    key = 0, next(name for name, uses in future._uses.items() if uses == [0, 2])
    whens = []
    for now in (-1, 0, 1, 2):
        future.now = now
        whens.append(future.next_use(key))
    assert whens == [0, 2, 2, math.inf]


def test_a_prompt_that_ends_with_its_block_does_not_look_for_it():
    assert Future([TokenRequest((1, 2))], SIZE)._uses == {}
    assert len(Future([TokenRequest((1, 2, 3))], SIZE)._uses) == 1


def test_pools_hold_the_largest_request():
    requests = [TokenRequest(tuple(range(100))), TokenRequest(tuple(range(50)), ((1, 2, 3),))]
    assert pool_sizes(requests, 10) == [10]
    assert pool_sizes(requests, 10, (1.0, 3.0)) == [10, 30]  # the second one's first five are the first one's


def test_bench_serves_a_trace_again(golden, capsys):
    assert main(["bench", "policies", "--trace", str(golden / "tiny_run.pvtrace"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["policy"] for row in rows} == set(POLICIES)
    assert all(0 <= row["hit_rate"] <= 1 for row in rows)
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "policies", "--workload", "alpaca"])
    assert "'alpaca' (choose from 'chat', 'templates', 'scan')" in capsys.readouterr().err


def test_a_figure_has_a_line_for_every_policy_the_best_first():
    rows = [
        SimpleNamespace(policy=policy, num_blocks=size, hit_rate=rate * size / 100)
        for size in (40, 20)
        for policy, rate in (("lru", 0.5), ("belady", 0.75))
    ]
    figure = hit_rates(rows)
    assert [(line.name, line.x, line.y) for line in figure.data] == [
        ("belady", (20, 40), (15, 30)),
        ("lru", (20, 40), (10, 20)),
    ]
