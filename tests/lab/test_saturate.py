"""The PagedAttention paper's figure 2, on a shortened run."""

import pytest

from pagedviz.errors import ConfigError
from pagedviz.lab import RIVALS, WORKLOADS, Request, Server, saturate, waste_table


@pytest.fixture(scope="module")
def table():
    return {(row.rival, row.block_size): row for row in waste_table(num_requests=1000, block_sizes=(1, 16, 256))}


@pytest.mark.parametrize(
    ("name", "used", "held"), [("max", 20.4, 7.00), ("pow2", 26.8, 9.81), ("oracle", 38.2, 13.62)]
)
def test_orca_is_where_the_paper_has_it(table, name, used, held):
    row = table[name, None]
    assert row.used == pytest.approx(used, abs=2)
    assert row.held == pytest.approx(held, rel=0.05)
    assert (row.paper_used, row.paper_held) == (used, held)


def test_paging_wastes_next_to_nothing(table):
    assert table["paged", 16].used >= 96
    assert table["paged", 16].held > 2 * table["oracle", None].held


def test_larger_blocks_hold_less(table):
    rows = [table["paged", size] for size in (1, 16, 256)]
    assert rows == sorted(rows, key=lambda row: -row.used) == sorted(rows, key=lambda row: -row.held)
    assert rows[0].internal == rows[0].reserved == 0


def test_every_row_adds_up(table):
    for row in table.values():
        assert row.used + row.reserved + row.internal + row.external + row.free == pytest.approx(100)
        assert row.free == 0  # somebody waits, and would have it


def test_a_seed_decides_everything():
    one, same, other = (waste_table("alpaca", 600, block_sizes=(16,), seed=seed) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("name", RIVALS)
def test_everybody_is_served_once(name):
    requests = WORKLOADS["alpaca"].requests(200)
    server = Server(RIVALS[name](4096, 2048, 16), 2048)
    arrived = []
    step, end = server.step, server.end
    ended = []

    def watched():
        before = {tenant.key for tenant in server.held}
        step()
        arrived.extend(sorted({tenant.key for tenant in server.held} - before - set(arrived)))

    server.step, server.end = watched, lambda key: (ended.append(key), end(key))
    for split in saturate(server, requests):
        assert split.total == 4096
    assert arrived == list(range(200))  # in order
    assert len(ended) == len(set(ended)) == 200 - len(server.held)


def test_a_request_takes_as_many_steps_as_it_has_tokens():
    # A pool for one: three steps for the first, during which the second waits.
    server = Server(RIVALS["max"](16, 16, 4), 16)
    splits = list(saturate(server, [Request(5, 3), Request(2, 1)]))
    assert [split.used for split in splits] == [5, 6, 7]
    assert [split.reserved for split in splits] == [2, 1, 0]


def test_what_does_not_fill_the_pool_is_no_saturation():
    with pytest.raises(ConfigError, match="take more"):
        waste_table(num_requests=5, block_sizes=(16,))
    with pytest.raises(ConfigError, match="sharegpt, alpaca"):
        waste_table("chat")
