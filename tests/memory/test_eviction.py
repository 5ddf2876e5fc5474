"""Every eviction policy against a slow and plain model of itself, and the known ones against others' code."""

import copy
import inspect
import random
import re
from collections import OrderedDict, deque

import cachetools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_policies import DROP, MODELS, PASS, Cache

from pagedviz.errors import ConfigError
from pagedviz.memory import eviction
from pagedviz.memory.eviction import POLICIES, CachedBlock, Policy, make_policy
from pagedviz.memory.eviction.arc import ARC
from pagedviz.memory.eviction.ranking import Ranking

HELD = (0, 0, 0, 0, 1, 5, PASS, DROP)
REQUEST = st.tuples(st.lists(st.integers(0, 15), unique=True, max_size=4), st.sampled_from(HELD))


@pytest.mark.parametrize("name", POLICIES)
@given(capacity=st.integers(1, 9), requests=st.lists(REQUEST, max_size=60))
@settings(max_examples=30)
def test_chooses_what_its_plain_model_chooses(name, capacity, requests):
    assert name in MODELS, f"write a plain model of {name}"
    Cache(name, capacity, requests, model=MODELS[name]).run()


def draw_requests(count, most, universe, seed, held=HELD):
    lots = random.Random(seed)

    def key():
        return (
            min(universe - 1, int(lots.paretovariate(0.6)) - 1) if lots.random() < 0.7 else lots.randrange(universe)
        )

    return [(sorted({key() for _ in range(lots.randint(1, most))}), lots.choice(held)) for _ in range(count)]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("seed", range(3))
def test_chooses_what_its_plain_model_chooses_for_long(name, seed):
    cache = Cache(name, 24, draw_requests(700, 6, 80, seed), model=MODELS[name]).run()
    assert len(cache.evicted) > 300


@pytest.mark.parametrize("name", POLICIES)
def test_asking_changes_nothing_but_the_lots(name):
    cache = Cache(name, 12, [([key], 0) for key in [*range(12), 3, 4, 3]]).run()
    everything = list(cache.policy.victims(12))
    assert sorted(everything) == list(range(12))
    if name != "random":
        for count in (1, 12, 5, 0):
            assert list(cache.policy.victims(count)) == everything[:count]


# -- the textbook setting: one key at a time, let go of at once -------------------------------------------------


def textbook(name, trace, capacity):
    """The misses of a policy, and what it evicted, in order."""
    cache = Cache(name, capacity, [([key], 0) for key in trace]).run()
    return cache.misses, [int(key, 16) for _, key in cache.evicted]


def draw_trace(count, universe, seed):
    return [keys[0] for keys, _ in draw_requests(count, 1, universe, seed)]


@pytest.mark.parametrize("name", ["lru", "fifo", "lfu"])
@given(trace=st.lists(st.integers(0, 11), max_size=120), capacity=st.integers(1, 8))
@settings(max_examples=40)
def test_agrees_with_cachetools(name, trace, capacity):
    cache = getattr(cachetools, f"{name.upper()}Cache")(capacity)
    evicted = []
    for key in trace:
        before = set(cache)
        if cache.get(key) is None:
            cache[key] = True
        evicted += before - set(cache)
    assert textbook(name, trace, capacity)[1] == evicted


def paper_arc(trace, c, early):
    """Figure 4 of the ARC paper. If not ``early``, room is made before the request is known."""
    t1, t2, b1, b2 = (OrderedDict() for _ in range(4))
    p, misses, evicted = 0, 0, []

    def replace(x):
        if t1 and ((x in b2 and len(t1) == p) or len(t1) > p):
            source, target = t1, b1
        else:
            source, target = t2, b2
        key, _ = source.popitem(last=False)
        target[key] = None
        evicted.append(key)

    for x in trace:
        if x in t1 or x in t2:  # case I
            t1.pop(x, None)
            t2.pop(x, None)
            t2[x] = None
            continue
        misses += 1
        if x in b1 or x in b2:  # cases II and III
            if not early:
                replace(None)
            if x in b1:
                p = min(c, p + (1 if len(b1) >= len(b2) else len(b2) / len(b1)))
            else:
                p = max(0, p - (1 if len(b2) >= len(b1) else len(b1) / len(b2)))
            if early:
                replace(x)
            b1.pop(x, None)
            b2.pop(x, None)
            t2[x] = None
            continue
        if len(t1) + len(b1) == c:  # case IV A
            if len(t1) < c:
                b1.popitem(last=False)
                replace(x)
            else:
                evicted.append(t1.popitem(last=False)[0])
        elif len(t1) + len(t2) + len(b1) + len(b2) >= c:  # case IV B
            if len(t1) + len(t2) + len(b1) + len(b2) == 2 * c:
                b2.popitem(last=False)
            replace(x)
        t1[x] = None
    return misses, evicted


@given(trace=st.lists(st.integers(0, 15), max_size=200), capacity=st.integers(1, 8))
@settings(max_examples=60)
def test_arc_is_the_papers_with_room_made_first(trace, capacity):
    assert textbook("arc", trace, capacity) == paper_arc(trace, capacity, early=False)


@pytest.mark.parametrize("seed", range(4))
def test_arc_misses_as_often_as_the_papers(seed):
    trace = draw_trace(2000, 120, seed)
    ours, papers = textbook("arc", trace, 30)[0], paper_arc(trace, 30, early=True)[0]
    assert abs(ours - papers) <= 0.01 * len(trace)


def test_arc_wants_no_longer_list_than_there_are_blocks():
    policy, number = ARC(2), iter(range(99))

    def compute(content):
        block = CachedBlock(next(number), (0, content), 0, next(number), 0)
        policy.add(block)
        return block

    for content in "abcd":  # each evicted from T1 and asked for again: T1 should be longer
        policy.remove(compute(content), evicted=True)
        policy.remove(compute(content), evicted=True)
    policy.remove(compute("a"), evicted=True)  # twice evicted from T2 and asked for again: it should be shorter
    again, once = compute("b"), compute("e")
    assert policy.victims(2) == [once.block, again.block]
    assert "1 were asked for once, 0.0 should be, of 2 candidates" in policy.explain(once.block)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("seed", range(4))
def test_nobody_misses_less_than_belady(name, seed):
    trace = draw_trace(500, 40, seed)
    assert textbook("belady", trace, 4 + 3 * seed)[0] <= textbook(name, trace, 4 + 3 * seed)[0]


# -- all of them ------------------------------------------------------------------------------------------------


def size(thing, seen):
    """How many objects of Python hang on it."""
    if id(thing) in seen or callable(thing):
        return 0
    seen.add(id(thing))
    inner = [*thing.keys(), *thing.values()] if isinstance(thing, dict) else ()
    if isinstance(thing, (list, tuple, set, deque)):
        inner = thing
    if hasattr(thing, "__dict__"):
        inner = vars(thing).values()
    return 1 + sum(size(part, seen) for part in inner)


@pytest.mark.parametrize("name", POLICIES)
def test_memory_is_bounded(name):
    lots, capacity = random.Random(3), 50
    policy = POLICIES[name](capacity, **({} if POLICIES[name].live else {"next_use": lambda key: len(key[1])}))
    blocks, sizes = {}, []
    for turn in range(25_000):
        if len(blocks) == capacity:
            block = blocks.pop(policy.victims(1)[0] if turn % 2 else lots.choice(list(blocks)))
            policy.remove(block, evicted=True)
        number = next(number for number in range(capacity) if number not in blocks)
        block = blocks[number] = CachedBlock(number, (0, f"{turn}"), turn % 4000, turn, turn)
        policy.add(block)
        other = blocks[lots.choice(list(blocks))]
        policy.remove(other, evicted=False)
        other.hits += 1
        policy.add(other)
        if turn % 5000 == 4999:
            sizes.append(size(policy, set()))
    assert max(sizes) <= 40 * capacity


@pytest.mark.parametrize("name", POLICIES)
def test_same_seed_same_calls_same_victims(name):
    requests = draw_requests(300, 5, 60, seed=7)
    first, second, other = (Cache(name, 16, requests, seed).run().evicted for seed in (1, 1, 2))
    assert first == second
    assert (first != other) == (name == "random")


def test_random_gives_all_the_same_chance():
    policy = POLICIES["random"](10, seed=5)
    for number in range(10):
        policy.add(CachedBlock(number, (0, f"{number}"), 0, number, 0))
    drawn = [block for _ in range(2000) for block in policy.victims(3)]
    assert all(abs(drawn.count(number) - 600) < 80 for number in range(10))


@pytest.mark.parametrize("name", POLICIES)
def test_says_who_it_is_and_why(name):
    policy = POLICIES[name]
    assert policy.name == name
    assert policy.summary
    assert "\n" not in policy.summary
    cache = Cache(name, 6, [([key], 0) for key in range(6)]).run()
    reason = cache.policy.explain(cache.policy.victims(1)[0])
    assert "of 6 candidates" in reason
    assert len(re.findall(r"\d+", reason)) > (name != "belady")  # which may have only "never" to say


def test_lru_says_when_it_was_last_used():
    cache = Cache("lru", 3, [([0], 0), ([1], 0), ([0], 0), ([2], 0)]).run()
    reason = cache.policy.explain(cache.policy.victims(1)[0])
    assert reason == "least recently used: last used in step 1, of 3 candidates"


@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.live])
def test_a_name_makes_a_policy(name):
    policy = make_policy(name, 8, seed=3)
    assert (type(policy), policy.capacity, policy.seed) == (POLICIES[name], 8, 3)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("lur", r"eviction='lur' is unknown; valid: 'arc', 'clock', 'cost', .*'slru'$"),
        ("belady", "needs the future: only for replays"),
        (ARC, "the class ARC"),
        (type("Half", (), {"add": print, "victims": print})(), "a Half, which lacks remove, explain"),
    ],
)
def test_a_choice_that_cannot_be_had_is_refused(choice, message):
    with pytest.raises(ConfigError, match=message):
        make_policy(choice, 8)


def test_an_object_of_ones_own_is_taken_as_it_is():
    methods = dict.fromkeys(("add", "remove", "victims", "explain"), print)
    own = type("Own", (), methods)()
    assert make_policy(own, 8) is own


def test_a_new_policy_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "newest.py").write_text(
        '"""Test."""\nfrom pagedviz.memory.eviction.lru import LRU\n'
        'class Newest(LRU):\n    name = "newest"\n    summary = "Test."\n'
    )
    monkeypatch.setattr(eviction, "__path__", [*eviction.__path__, str(tmp_path)])
    found = eviction.find_policies(eviction.__path__)
    assert set(found) == {*POLICIES, "newest"}
    assert issubclass(found["newest"], Policy)
    assert not any(inspect.isabstract(policy) for policy in found.values())


def test_a_ranking_says_who_is_in_it():
    ranking = Ranking()
    for block, rank in enumerate([2, 0, 1]):
        ranking.add(CachedBlock(block, (0, bytes([block])), 0, block, 1), rank)
    ranking.remove(1)  # its entry stays in the heap, stale
    assert [block in ranking for block in range(4)] == [True, False, True, False]
    assert ranking.first().block == 2


def test_a_copied_block_is_another_one_and_one_only():
    block = CachedBlock(3, (0, b"key"), 16, 7, 1)
    one, again = copy.deepcopy([block, block])
    assert one is again is not block
    one.used, one.hits = 5, 2
    assert (block.used, block.hits) == (0, 0)
    assert [getattr(one, name) for name in CachedBlock.__struct_fields__] == [3, (0, b"key"), 16, 7, 1, 5, 2]
