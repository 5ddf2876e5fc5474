"""Lengths: the paper's means, what is assumed of their spread, and the limits."""

import numpy as np
import pytest

from pagedviz.errors import ConfigError
from pagedviz.lab import WORKLOADS, Request, Workload


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
