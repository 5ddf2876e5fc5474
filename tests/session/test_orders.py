"""Which wish comes first: the table in the module's docstring, line by line."""

from itertools import product

import pytest

from pagedviz.session.orders import Orders


@pytest.mark.parametrize(
    ("orders", "news", "order"),
    [
        (Orders(stopping=True, go=True, looked=False), True, "stop"),
        (Orders(looked=False), True, "look"),
        (Orders(go=True, looked=False), True, "tell"),
        (Orders(owed=1), True, "tell"),
        (Orders(go=True), False, "step"),
        (Orders(owed=2), False, "step"),
        (Orders(go=True, guests=1), False, None),
        (Orders(), False, None),
    ],
)
def test_the_first_line_that_holds_decides(orders, news, order):
    assert orders.next(news=news) == order


def test_a_step_that_was_owed_is_taken_once():
    orders = Orders()
    orders.run(2)
    orders.run(1)

    taken = []
    while (order := orders.next(news=False)) == "step":
        taken.append(order)
        assert orders.moving
        orders.stepping, orders.looked = False, True

    assert len(taken) == 3
    assert orders.stands
    assert not orders.moving


def test_running_drops_what_is_owed_and_goes_on_for_ever():
    orders = Orders(owed=5)
    orders.run(0)
    assert [orders.next(news=False) for _ in range(9)] == ["step"] * 9
    assert (orders.owed, orders.looked) == (0, False)


@pytest.mark.parametrize(("go", "go_on"), [*product([True, False], repeat=2)])
def test_after_the_end_nothing_is_owed_and_only_who_ran_goes_on(go, go_on):
    orders = Orders(go=go, owed=3, stopping=True, stepping=True)
    orders.over(go_on=go_on)
    assert (orders.go, orders.owed, orders.stopping, orders.moving) == (go and go_on, 0, False, go and go_on)
