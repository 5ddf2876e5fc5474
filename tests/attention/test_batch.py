"""A plan and block tables become tensors: slots, rows, lengths; and which backend reads them."""

import inspect

import pytest
import torch
from pagedviz_kernels import reference

import pagedviz as pv
from pagedviz.attention import BACKENDS, KVCache, select_backend
from pagedviz.engine.batch import build_batch
from pagedviz.engine.request import Request, Sequence
from pagedviz.engine.sampling.params import SamplingParams
from pagedviz.engine.schedule.plan import Scheduled, order
from pagedviz.events.codec import LayerGroup
from pagedviz.memory import BlockManager

CPU = torch.device("cpu")


def plan(manager, *work):
    """Scheduled items for (tokens, start, count), their blocks allocated, in the kernels' order."""
    items = []
    for number, (tokens, start, count) in enumerate(work):
        sequence = Sequence(number, 0, len(tokens), list(tokens), computed=start)
        request = Request(f"r{number}", None, tuple(tokens), SamplingParams(), 0, 4, [sequence])
        items.append(Scheduled(request, sequence, start, count))
        manager.write(number, 0, start + count, "prefill")
    return order(items)


@pytest.mark.parametrize("groups", [1, 2])
def test_every_token_is_written_to_its_own_slot(groups):
    manager = BlockManager(40, 4, groups)
    spec = [LayerGroup((0,), None), LayerGroup((1,), 3)][:groups]
    items = plan(manager, (range(10, 19), 4, 5), (range(30, 37), 6, 1), (range(50, 60), 0, 6))
    batch = build_batch(items, manager, spec, CPU)
    assert batch.num_decodes == 1
    assert batch.input_ids.tolist() == [36, *range(14, 19), *range(50, 56)]
    assert batch.positions.tolist() == [6, *range(4, 9), *range(6)]
    assert batch.context_lens.tolist() == [7, 9, 6]
    assert batch.query_starts.tolist() == [0, 5, 11]
    assert batch.rows.tolist() == [0, 5], "the last one's prompt is not at its end yet"
    slots = [slot for tables in batch.groups for slot in tables.slot_mapping.tolist()]
    assert len(set(slots)) == len(slots) == 12 * groups
    for group, tables in enumerate(batch.groups):
        owners = [1] + [0] * 5 + [2] * 6
        for slot, owner, position in zip(
            tables.slot_mapping.tolist(), owners, batch.positions.tolist(), strict=True
        ):
            assert slot // 4 == manager.tables(owner)[group][position // 4]
            assert slot % 4 == position % 4
        assert tables.block_tables.tolist() == [
            [*manager.tables(owner)[group], *[-1] * (3 - len(manager.tables(owner)[group]))] for owner in (1, 0, 2)
        ]
    # With a window of 3, the token at position 6 no longer looks at the first block.
    assert [tables.blocks_read for tables in batch.groups] == [(2, 5), (1, 5)][:groups]


def test_a_step_may_want_no_logits():
    manager = BlockManager(40, 4)
    batch = build_batch(plan(manager, (range(9), 0, 4)), manager, [LayerGroup((0,), None)], CPU)
    assert batch.rows.tolist() == []
    assert batch.rows.dtype == torch.int64


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_is_had_by_its_name_and_has_the_five_functions(name):
    try:
        found, module = select_backend(name, CPU)
    except pv.BackendUnavailable as error:
        pytest.skip(str(error))
    assert found == name
    for operation in ("write_kv", "decode", "prefill", "copy_blocks", "swap_blocks"):
        parameters = inspect.signature(getattr(module, operation)).parameters
        assert list(parameters) == list(inspect.signature(getattr(reference, operation)).parameters)


def test_without_a_name_numba_is_taken_on_a_cpu():
    assert select_backend("auto", CPU)[0] == "numba"
    with pytest.raises(pv.ConfigError, match=f"'flash'.*'auto', {', '.join(map(repr, BACKENDS))}"):
        select_backend("flash", CPU)


def test_torch_is_taken_where_numba_is_missing(monkeypatch):
    def missing(device):
        raise pv.BackendUnavailable("no numba")

    monkeypatch.setitem(BACKENDS, "numba", missing)
    assert select_backend("auto", CPU)[0] == "torch"


def test_a_block_has_room_for_k_and_v_of_all_lanes():
    cache = KVCache((3, 8, 4, 2, 16), torch.bfloat16, CPU)
    assert cache.bytes_per_block * 8 == cache.keys.nbytes + cache.values.nbytes
