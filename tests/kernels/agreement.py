"""The tests that every backend must pass; a test module mixes them in and names the backend.

`backend` is a fixture (a module with the four operations), `dtypes` what it computes. The interpreter takes
milliseconds per tile, so the shapes are small.
"""

import math

import pytest
import torch
from cases import Case, edge_lens


class AgreesWithDenseAttention:
    @pytest.mark.parametrize("block_size", [1, 2, 4, 16, 32])
    def test_decode_is_right_at_every_edge_of_a_block(self, backend, block_size):
        case = Case(edge_lens(block_size), block_size=block_size, group=3, kv_heads=2)
        case.check(case.decode(backend))

    @pytest.mark.parametrize("block_size", [1, 2, 4, 16, 32])
    def test_prefill_is_right_at_every_edge_of_a_block(self, backend, block_size):
        lens = edge_lens(block_size, longest=50)
        new = tuple(min(n, length) for n, length in zip((1, 2, 9, 17, 33), lens, strict=False))
        case = Case(lens, new, block_size=block_size, group=3, kv_heads=1)
        case.check(case.prefill(backend))

    @pytest.mark.parametrize("head_dim", [64, 80, 96, 128])
    @pytest.mark.parametrize("group", [1, 3, 7])
    def test_every_head_dim_and_group_is_right(self, backend, head_dim, group):
        decode = Case((5, 37), head_dim=head_dim, group=group)
        decode.check(decode.decode(backend))
        prefill = Case((5, 37), (5, 19), head_dim=head_dim, group=group)
        prefill.check(prefill.prefill(backend))

    @pytest.mark.parametrize("window", [1, 5, 16, 33, 1000])
    @pytest.mark.parametrize("softcap", [None, 1.5])
    def test_sliding_window_and_softcap_are_right(self, backend, window, softcap):
        decode = Case((1, 16, 70), window=window, softcap=softcap, group=3, kv_heads=1)
        decode.check(decode.decode(backend))
        prefill = Case((9, 70), (9, 40), window=window, softcap=softcap, group=3, kv_heads=1)
        prefill.check(prefill.prefill(backend))

    def test_softcap_alone_is_right(self, backend):
        decode = Case((40,), softcap=0.5, group=3)
        decode.check(decode.decode(backend))
        prefill = Case((40,), (25,), softcap=0.5, group=3)
        prefill.check(prefill.prefill(backend))

    def test_a_mixed_batch_of_prompts_chunks_and_single_tokens_is_right(self, backend):
        case = Case((20, 33, 1, 64, 40), (20, 1, 1, 1, 17), group=3)
        case.check(case.prefill(backend))

    def test_prefill_skips_a_sequence_without_new_tokens(self, backend):
        case = Case((8, 20, 12), (6, 0, 7))
        case.check(case.prefill(backend))

    def test_groups_wider_than_a_program_are_right(self, backend):
        case = Case((20,), (2,), group=71, kv_heads=1)
        case.check(case.prefill(backend))
        single = Case((20, 5), group=20)
        single.check(single.decode(backend))

    def test_a_long_context_is_right(self, backend):
        case = Case((700,), group=3, kv_heads=1)
        case.check(case.decode(backend))

    def test_large_scores_do_not_overflow(self, backend):
        case = Case((40,), (20,), group=3)
        case.query *= 30
        case.check(case.prefill(backend))

    def test_dtypes_are_right_within_their_rounding(self, backend, dtypes):
        for dtype in dtypes:
            for options in ({}, {"window": 9}, {"softcap": 2.0}):
                decode = Case((1, 17, 60), group=3, head_dim=80, dtype=dtype, **options)
                decode.check(decode.decode(backend))
                prefill = Case((1, 17, 60), (1, 9, 30), group=3, head_dim=80, dtype=dtype, **options)
                prefill.check(prefill.prefill(backend))


class ReadsOnlyWhatItMay:
    @pytest.mark.parametrize("padding", [-1, 2**31 - 1])
    def test_table_entries_past_the_context_are_never_followed(self, backend, padding):
        decode = Case((3, 40), block_size=4, padding=padding)
        decode.check(decode.decode(backend))
        prefill = Case((6, 40), (6, 20), block_size=4, padding=padding)
        prefill.check(prefill.prefill(backend))

    def test_physical_order_changes_no_bit(self, backend):
        decode, prefill = Case((40, 23), group=3), Case((40, 23), (12, 23), group=3)
        first_decode, first_prefill = decode.decode(backend), prefill.prefill(backend)
        decode.place(seed=7)
        prefill.place(seed=7)
        torch.testing.assert_close(decode.decode(backend), first_decode, rtol=0, atol=0)
        torch.testing.assert_close(prefill.prefill(backend), first_prefill, rtol=0, atol=0)

    def test_sequences_may_share_blocks(self, backend):
        decode = Case((40, 37), shared_blocks=2)
        assert decode.tables[0, :2].equal(decode.tables[1, :2])
        decode.check(decode.decode(backend))
        prefill = Case((40, 37), (5, 5), shared_blocks=2)
        prefill.check(prefill.prefill(backend))

    def test_an_empty_context_gives_zero(self, backend):
        case = Case((0, 5), group=3)
        out = case.decode(backend)
        assert not out[0].any()
        case.check(out)
        case.check(case.decode(backend, num_splits=3))

    def test_an_empty_batch_gives_an_empty_result(self, backend):
        case = Case(())
        assert case.decode(backend).shape == (0, 2, 64)
        assert case.prefill(backend).shape == (0, 2, 64)

    def test_caches_that_are_views_of_a_larger_pool_are_right(self, backend):
        case = Case((40, 9), group=3)
        pool = torch.full((case.key_cache.shape[0], 2, *case.key_cache.shape[1:]), float("nan"))
        pool[:, 0], pool[:, 1] = case.key_cache, case.value_cache
        case.key_cache, case.value_cache = pool.unbind(dim=1)
        case.check(case.decode(backend))

    def test_a_query_with_strides_is_right(self, backend):
        case = Case((40, 9), group=3)
        case.query = case.query.transpose(0, 1).contiguous().transpose(0, 1)
        case.check(case.decode(backend))
        case.check(case.prefill(backend))


class SplitsAgree:
    @pytest.mark.parametrize("window", [None, 20])
    def test_every_split_count_gives_the_same_answer(self, backend, window):
        case = Case((1, 100), group=3, kv_heads=1, block_size=8, window=window)
        for num_splits in (1, 2, 3, 4, 5, 17):
            case.check(case.decode(backend, num_splits=num_splits))


class WritesAndCopies:
    @pytest.mark.parametrize("block_size", [1, 4, 16])
    @pytest.mark.parametrize("head_dim", [64, 80])
    def test_write_puts_rows_into_slots_and_touches_nothing_else(self, backend, dtypes, block_size, head_dim):
        for dtype in dtypes:
            caches = [torch.full((8, block_size, 3, head_dim), 7.0, dtype=dtype) for _ in "kv"]
            slots = torch.randperm(8 * block_size)[:6]
            slots[2] = slots[4] = -1
            rows = [torch.randn(3, 6, head_dim).to(dtype).transpose(0, 1) for _ in "kv"]
            backend.write_kv(*rows, *caches, slots)

            for cache, row in zip(caches, rows, strict=True):
                expected = torch.full((8 * block_size, 3, head_dim), 7.0, dtype=dtype)
                for token, slot in enumerate(slots.tolist()):
                    if slot >= 0:
                        expected[slot] = row[token]
                torch.testing.assert_close(cache.flatten(0, 1), expected, rtol=0, atol=0)

    def test_writing_nothing_is_allowed(self, backend):
        cache = torch.zeros(2, 4, 1, 64)
        rows = torch.zeros(0, 1, 64)
        backend.write_kv(rows, rows, cache, cache.clone(), torch.zeros(0, dtype=torch.int64))
        assert not cache.any()

    @pytest.mark.parametrize(("block_size", "head_dim"), [(1, 64), (4, 80), (16, 64)])
    def test_copy_takes_whole_blocks_of_every_layer(self, backend, block_size, head_dim):
        shape = (3, 9, block_size, 3, head_dim)
        pool = torch.randn(2, *shape)
        before = pool.clone()
        backend.copy_blocks(*pool, torch.tensor([[0, 5], [2, 8]]))

        before[:, :, 5], before[:, :, 8] = before[:, :, 0], before[:, :, 2]
        torch.testing.assert_close(pool, before, rtol=0, atol=0)

    @pytest.mark.parametrize("block_size", [1, 4, 16])
    @pytest.mark.parametrize("head_dim", [64, 80])
    def test_swap_takes_whole_blocks_of_every_layer_to_another_pool(self, backend, dtypes, block_size, head_dim):
        for dtype in dtypes:
            source = torch.randn(3, 7, block_size, 2, head_dim).to(dtype)
            target = torch.full((3, 11, block_size, 2, head_dim), math.nan, dtype=dtype)
            backend.swap_blocks(source, target, torch.tensor([[6, 0], [1, 10], [3, 4]]))
            assert torch.equal(target[:, [0, 10, 4]], source[:, [6, 1, 3]])
            assert target[:, [1, 2, 3, 5, 6, 7, 8, 9]].isnan().all()

    def test_swapping_nothing_is_allowed(self, backend):
        pool = torch.zeros(2, 4, 2, 1, 16)
        backend.swap_blocks(pool, pool.clone(), torch.zeros((0, 2), dtype=torch.int64))

    @pytest.mark.parametrize("pair", [(4, 0), (0, 3)])
    def test_blocks_outside_a_pool_are_not_swapped(self, backend, pair):
        with pytest.raises(ValueError, match="outside pools of 4 and 3"):
            backend.swap_blocks(torch.zeros(2, 4, 2, 1, 16), torch.zeros(2, 3, 2, 1, 16), torch.tensor([pair]))

    def test_pools_that_differ_are_not_swapped(self, backend):
        with pytest.raises(ValueError, match="the pools differ"):
            backend.swap_blocks(torch.zeros(2, 4, 2, 1, 16), torch.zeros(2, 4, 4, 1, 16), torch.tensor([[0, 1]]))

    def test_copying_nothing_is_allowed(self, backend):
        pool = torch.zeros(2, 1, 3, 4, 1, 64)
        backend.copy_blocks(*pool, torch.zeros((0, 2), dtype=torch.int64))
        assert not pool.any()


class EveryOperation(AgreesWithDenseAttention, ReadsOnlyWhatItMay, SplitsAgree, WritesAndCopies):
    """All of the above."""
