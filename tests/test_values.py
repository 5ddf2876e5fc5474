"""Numbers of any library are made plain at the call, or refused there."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

import pagedviz as pv
from pagedviz.values import flag, is_whole, listed, real, whole, wholes

FIVES = [5, np.int64(5), np.uint8(5), np.array(5), torch.tensor(5), torch.tensor(5, dtype=torch.uint8)]
NO_WHOLE = [
    True, np.bool_(True), torch.tensor(True), 5.0, np.float32(5), torch.tensor(5.0), "5", b"5", None, [5],
    np.array([5]), torch.tensor([5]), Decimal(5), Fraction(5), float("nan"),
    pytest.param(object(), id="object()"),
]  # fmt: skip
HALVES = [0.5, np.float16(0.5), np.array(0.5), torch.tensor(0.5), torch.tensor(0.5).bfloat16(), Fraction(1, 2)]


@pytest.mark.parametrize("value", FIVES, ids=repr)
def test_whole_numbers_become_ints(value):
    assert is_whole(value)
    assert type(whole("n", value, 1)) is int
    assert whole("n", value, 5, 5) == 5
    assert real("t", value, 0) == 5.0
    assert type(real("t", value, 0)) is float


@pytest.mark.parametrize("value", NO_WHOLE, ids=repr)
def test_what_is_no_whole_number_is_refused_with_its_value(value):
    assert not is_whole(value)
    with pytest.raises(pv.ConfigError, match=r"n=.*must be a whole number, 1 or more"):
        whole("n", value, 1)


@pytest.mark.parametrize("value", HALVES, ids=repr)
def test_real_numbers_become_floats(value):
    assert type(real("t", value, 0.0)) is float
    assert real("t", value, 0.0) == 0.5


@pytest.mark.parametrize(
    "value", [True, np.bool_(False), "0.5", None, [0.5], 1j, 10**400, float("inf"), -1], ids=str
)
def test_what_is_no_number_or_out_of_range_is_refused(value):
    with pytest.raises(pv.RequestError, match=r"t=.*must be a number, 0 or more"):
        real("t", value, 0.0, error=pv.RequestError)


def test_ranges_are_told():
    for value, least, most, told in (
        (0, 1, None, "1 or more"),
        (9, 1, 8, "from 1 to 8"),
        (9, None, 8, "at most 8"),
    ):
        with pytest.raises(pv.ConfigError, match=told):
            whole("n", value, least, most)
    with pytest.raises(pv.ConfigError, match=r"or None"):
        whole("n", "x", none=True)
    assert whole("n", None, none=True) is None
    with pytest.raises(pv.ConfigError, match="above 0, at most 1"):
        real("p", 0, 0.0, 1.0, above=True)


@pytest.mark.parametrize(
    "values",
    [[3, 4], (3, 4), {4, 3}, range(3, 5), np.array([3, 4]), torch.tensor([3, 4]),
     pytest.param(iter([3, np.int64(4)]), id="iter"),
     [torch.tensor(3), 4], frozenset({np.int32(3), 4})],
    ids=repr,
)  # fmt: skip
def test_sequences_of_whole_numbers_become_tuples(values):
    made = wholes("ids", values, 0)
    assert made == (3, 4)
    assert {type(number) for number in made} == {int}


@pytest.mark.parametrize(
    "values", [3, np.array(3), "34", b"34", {3: 4}, None, [3, True], [3.0], [[3]], np.array([[3]])]
)
def test_what_is_no_sequence_of_them_is_refused(values):
    with pytest.raises(pv.ConfigError, match="ids="):
        wholes("ids", values, 0)


def test_a_set_has_no_order_and_a_text_is_no_list():
    with pytest.raises(pv.ConfigError, match="must be a list"):
        wholes("ids", {3}, ordered=True)
    assert listed("ab") is None
    assert listed(np.array("ab")) is None
    assert listed(np.array(["a", "b"])) == ["a", "b"]


@pytest.mark.parametrize("value", [True, np.bool_(True), torch.tensor(True)])
def test_truths_become_bools(value):
    assert flag("on", value) is True
    with pytest.raises(pv.ConfigError, match="on=1: must be True or False"):
        flag("on", 1)
