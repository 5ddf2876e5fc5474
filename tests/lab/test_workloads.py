"""Lengths: the paper's means, what is assumed of their spread, and the limits."""

import itertools
from collections import Counter

import numpy as np
import pytest

from pagedviz.errors import ConfigError
from pagedviz.lab import PREFIX_WORKLOADS, WORKLOADS, Chats, Request, Workload


@pytest.mark.parametrize(
    ("name", "mean_input", "mean_output"), [("sharegpt", 161.31, 337.99), ("alpaca", 19.31, 58.45)]
)
def test_means_and_spread(name, mean_input, mean_output):
    lengths = np.array(WORKLOADS[name].requests(4000))
    assert lengths.mean(axis=0) == pytest.approx([mean_input, mean_output], rel=0.01)
    assert (lengths.std(axis=0) / lengths.mean(axis=0)) ** 2 == pytest.approx([1.0, 0.76], rel=0.06)
    assert abs(np.corrcoef(lengths.T)[0, 1]) < 0.05


def test_a_seed_decides_everything():
    workload = WORKLOADS["sharegpt"]
    assert workload.requests(100, seed=3) == workload.requests(100, seed=3)
    assert workload.requests(100, seed=3) != workload.requests(100, seed=4)


def test_no_request_is_empty_or_too_long():
    requests = Workload(30, 60, max_model_len=64).requests(500)
    assert min(min(request) for request in requests) == 1
    assert max(sum(request) for request in requests) == 64


def test_the_last_token_is_never_stored():
    assert Request(7, 4).slots == 10


@pytest.mark.parametrize(("count", "longest"), [(0, 2048), (3, 1)])
def test_nothing_to_draw(count, longest):
    with pytest.raises(ConfigError):
        Workload(5, 5, max_model_len=longest).requests(count)


@pytest.mark.parametrize("name", PREFIX_WORKLOADS)
def test_prefix_workloads_are_drawn_from_a_seed(name):
    workload = PREFIX_WORKLOADS[name]
    requests = workload.requests(120, seed=3)
    assert requests == workload.requests(120, seed=3) != workload.requests(120, seed=4)
    assert len(requests) == 120
    assert max(len(request.prompt) + len(request.outputs[0]) for request in requests) <= 2048
    assert min(min(len(request.prompt), len(request.outputs[0])) for request in requests) >= 1


def test_a_turn_begins_with_all_that_was_said_before():
    requests = Chats(num_open=1, mean_turns=1000, num_systems=1).requests(5)
    for before, after in itertools.pairwise(requests):
        said = before.prompt + before.outputs[0]
        assert after.prompt[: len(said)] == said
        assert len(after.prompt) > len(said)


def test_popularity_follows_zipf():
    requests = Chats(num_systems=8, mean_turns=1, mean_system=64).requests(1500)
    begun = Counter(request.prompt[:3] for request in requests).most_common()
    assert len(begun) == 8
    first = begun[0][1]
    assert [round(first / count) for _, count in begun[:4]] == [1, 2, 3, 4]


def test_documents_are_read_once():
    requests = Chats(once=1.0).requests(20)
    assert len({request.prompt[:2] for request in requests}) == 20


@pytest.mark.parametrize("wrong", [{"num_systems": 0}, {"mean_turns": 0.5}, {"max_model_len": 3}])
def test_no_chats_to_draw(wrong):
    with pytest.raises(ConfigError):
        Chats(**wrong).requests(3)
