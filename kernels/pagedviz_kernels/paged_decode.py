"""Decode: attention of one new token per sequence over its block table, split along the keys, then merged.

Split-KV after Flash-Decoding (Dao et al. 2023); all query heads of a KV head in one program, padded to the
16 rows of a tensor core (grouped as in vLLM's unified Triton kernel, arXiv:2511.11581). Tile sizes and split
counts come from `tiles`, the maths of one tile from `triton_parts`.
"""

import torch
import triton
import triton.language as tl

from pagedviz_kernels import tiles
from pagedviz_kernels.checks import check_attention, check_rows, check_splits
from pagedviz_kernels.triton_parts import attend_tile, check_launch

SPLIT_TILE = 16
"""Splits that the merge kernel reads at a time."""


@triton.jit(do_not_specialize=["stride_table", "block_size", "group", "num_splits", "window"])
def decode_kernel(
    Q, K, V, Tables, Lens, Out, Partial, Stats,
    stride_q, stride_qh, stride_block, stride_offset, stride_head, stride_table,
    block_size, group, num_splits, window, scale, softcap,
    HEAD_DIM: tl.constexpr, HEAD_DIM_PADDED: tl.constexpr,
    BLOCK_M: tl.constexpr, TILE_N: tl.constexpr, SOFTCAP: tl.constexpr,
):  # fmt: skip
    """Program (sequence, KV head, split): acc = sum_j exp(s_j - m) v_j, l = sum_j exp(s_j - m) over its keys.

    With one split it writes acc / l to Out; with more it leaves acc in Partial and (m, l) in Stats for the
    merge.
    Only keys of the last `window` positions are walked: tiles before the window are never loaded.
    """
    seq, split = tl.program_id(0), tl.program_id(2)
    chunks = tl.cdiv(group, BLOCK_M)  # 1, unless a group has more heads than a program has rows
    kv_heads = tl.num_programs(1) // chunks
    kv_head = tl.program_id(1) // chunks
    context_len = tl.load(Lens + seq)
    first = tl.maximum(context_len - window, 0)
    first_tile = first // TILE_N
    tiles_per_split = tl.cdiv(tl.cdiv(context_len, TILE_N) - first_tile, num_splits)
    begin = (first_tile + split * tiles_per_split) * TILE_N
    end = tl.minimum(begin + tiles_per_split * TILE_N, context_len)

    row = tl.program_id(1) % chunks * BLOCK_M + tl.arange(0, BLOCK_M)
    d = tl.arange(0, HEAD_DIM_PADDED)
    head = kv_head * group + row
    stored = (row < group)[:, None] & (d < HEAD_DIM)[None, :]
    query = Q + seq.to(tl.int64) * stride_q + head[:, None] * stride_qh + d[None, :]
    q = tl.load(query, mask=stored, other=0.0)

    acc = tl.zeros([BLOCK_M, HEAD_DIM_PADDED], tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    table = Tables + seq.to(tl.int64) * stride_table
    for start in range(begin, end, TILE_N):
        key_at = start + tl.arange(0, TILE_N)
        loadable = (key_at >= first) & (key_at < end)
        acc, row_max, row_sum = attend_tile(
            q, acc, row_max, row_sum,
            K, V, table, key_at, loadable, loadable[None, :], kv_head,
            block_size, stride_block, stride_offset, stride_head,
            scale, softcap, HEAD_DIM, HEAD_DIM_PADDED, SOFTCAP,
        )  # fmt: skip

    out_row = seq.to(tl.int64) * group * kv_heads + head
    if num_splits == 1:
        result = acc / tl.where(row_sum > 0, row_sum, 1.0)[:, None]  # an empty context gives 0
        out = Out + out_row[:, None] * HEAD_DIM + d[None, :]
        tl.store(out, result.to(Out.dtype.element_ty), mask=stored)
    else:
        part_row = out_row * num_splits + split
        tl.store(Partial + part_row[:, None] * HEAD_DIM + d[None, :], acc, mask=stored)
        tl.store(Stats + part_row * 2, row_max, mask=row < group)
        tl.store(Stats + part_row * 2 + 1, row_sum, mask=row < group)


@triton.jit(do_not_specialize=["num_splits"])
def merge_kernel(
    Partial, Stats, Out, num_splits,
    HEAD_DIM: tl.constexpr, HEAD_DIM_PADDED: tl.constexpr, SPLIT_TILE: tl.constexpr,
):  # fmt: skip
    """Program (sequence, head): out = sum_s exp(m_s - m) acc_s / sum_s exp(m_s - m) l_s, or 0.

    An empty split has m_s = -inf and weight 0.
    """
    out_row = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, HEAD_DIM_PADDED)
    acc = tl.zeros([HEAD_DIM_PADDED], tl.float32)
    total = tl.zeros([SPLIT_TILE], tl.float32)
    top = -float("inf")
    for start in range(0, num_splits, SPLIT_TILE):
        split = start + tl.arange(0, SPLIT_TILE)
        part_row = out_row * num_splits + split
        split_max = tl.load(Stats + part_row * 2, mask=split < num_splits, other=float("-inf"))
        split_sum = tl.load(Stats + part_row * 2 + 1, mask=split < num_splits, other=0.0)
        new_top = tl.maximum(top, tl.max(split_max, axis=0))
        finite_top = tl.where(new_top > float("-inf"), new_top, 0.0)
        weight = tl.exp2(split_max - finite_top)
        correction = tl.exp2(top - finite_top)
        part = tl.load(
            Partial + part_row[:, None] * HEAD_DIM + d[None, :],
            mask=(split < num_splits)[:, None] & (d < HEAD_DIM)[None, :],
            other=0.0,
        )
        acc = acc * correction + tl.sum(weight[:, None] * part, axis=0)
        total = total * correction + weight * split_sum
        top = new_top
    denominator = tl.sum(total, axis=0)
    result = acc / tl.where(denominator > 0, denominator, 1.0)
    tl.store(Out + out_row * HEAD_DIM + d, result.to(Out.dtype.element_ty), mask=d < HEAD_DIM)


def decode(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    block_tables: torch.Tensor,
    context_lens: torch.Tensor,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    num_splits: int | None = None,
) -> torch.Tensor:
    """Attention of one new token per sequence; see `reference.decode`.

    A given `num_splits` fixes the order of additions, whatever the batch; None chooses from shapes and the
    GPU.
    """
    check_attention(query, key_cache, value_cache, block_tables, context_lens, window, softcap)
    check_rows(query, context_lens)
    check_splits(num_splits)
    check_launch(decode_kernel, key_cache, value_cache)
    num_seqs, num_heads, head_dim = query.shape
    block_size, kv_heads = key_cache.shape[1:3]
    group = num_heads // kv_heads
    out = torch.empty((num_seqs, num_heads, head_dim), dtype=query.dtype, device=query.device)
    if num_seqs == 0:
        return out
    if query.stride(-1) != 1:
        query = query.contiguous()
    if num_splits is None:
        longest = block_tables.shape[1] * block_size
        num_splits = tiles.choose_splits(num_seqs * kv_heads, longest, tiles.sm_count(query.device))
    shape = (num_seqs, num_heads, num_splits) if num_splits > 1 else (0, 0, 0)
    partial = torch.empty((*shape, head_dim), dtype=torch.float32, device=query.device)
    stats = torch.empty((*shape, 2), dtype=torch.float32, device=query.device)
    config = tiles.decode_tiles(head_dim, query.element_size())
    decode_kernel[num_seqs, kv_heads * triton.cdiv(group, config.BLOCK_M), num_splits](
        query, key_cache, value_cache, block_tables, context_lens, out, partial, stats,
        *query.stride()[:2], *key_cache.stride()[:3], block_tables.stride(0),
        block_size, group, num_splits, window or tiles.NO_WINDOW, scale, softcap or 1.0,
        SOFTCAP=softcap is not None, **config.as_kwargs(),
    )  # fmt: skip
    if num_splits > 1:
        merge_kernel[(num_seqs * num_heads,)](
            partial, stats, out, num_splits,
            HEAD_DIM=head_dim, HEAD_DIM_PADDED=config.HEAD_DIM_PADDED, SPLIT_TILE=SPLIT_TILE,
            num_warps=4, **tiles.OPTIONS,
        )  # fmt: skip
    return out
