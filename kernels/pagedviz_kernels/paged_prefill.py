"""Prefill: causal attention of the newest tokens of each sequence, ragged, in one launch.

Query blocks and the search for a block's sequence on the device follow vLLM's unified Triton kernel
(arXiv:2511.11581), so that the launch needs no look at the lengths. Tile sizes come from `tiles`, the maths
of one tile from `triton_parts`. Rows with one new token are correct too; `paged_decode` is faster for them.
"""

import torch
import triton
import triton.language as tl

from pagedviz_kernels import tiles
from pagedviz_kernels.checks import check_attention, check_starts
from pagedviz_kernels.triton_parts import attend_tile, check_launch


@triton.jit
def find_sequence(Starts, num_seqs, index, BLOCK_Q):
    """The sequence that query block `index` belongs to, by binary search.

    Sequence i owns the query blocks from starts[i] // BLOCK_Q + i on: at most one part-filled block per
    sequence, hence the + i. A block past the last token of its sequence is empty.
    """
    low, high = 0, num_seqs
    while low + 1 < high:
        middle = (low + high) // 2
        if tl.load(Starts + middle) // BLOCK_Q + middle <= index:
            low = middle
        else:
            high = middle
    return low


@triton.jit(do_not_specialize=["stride_table", "num_seqs", "block_size", "group", "window"])
def prefill_kernel(
    Q, K, V, Tables, Lens, Starts, Out,
    stride_q, stride_qh, stride_block, stride_offset, stride_head, stride_table,
    num_seqs, block_size, group, window, scale, softcap,
    HEAD_DIM: tl.constexpr, HEAD_DIM_PADDED: tl.constexpr,
    BLOCK_M: tl.constexpr, TILE_N: tl.constexpr, SOFTCAP: tl.constexpr,
):  # fmt: skip
    """Program (query block, KV head): out_i = sum_j softmax_j(cap(scale q_i k_j)) v_j, i - window < j <= i.

    Row r of a program is query token r // held and head r % held of the group. Tiles after the block's
    newest query and before the window of its oldest are never loaded.
    """
    index = tl.program_id(0)
    held = tl.minimum(group, BLOCK_M)  # heads in a program: the whole group, unless it has more than BLOCK_M
    chunks = tl.cdiv(group, held)
    kv_heads = tl.num_programs(1) // chunks
    kv_head = tl.program_id(1) // chunks
    block_q = BLOCK_M // held
    seq = find_sequence(Starts, num_seqs, index, block_q)
    seq_start = tl.load(Starts + seq)
    num_new = tl.load(Starts + seq + 1) - seq_start
    first_new = (index - (seq_start // block_q + seq)) * block_q
    if first_new >= num_new:
        return
    num_cached = tl.load(Lens + seq) - num_new

    row = tl.arange(0, BLOCK_M)
    d = tl.arange(0, HEAD_DIM_PADDED)
    new = first_new + row // held
    in_group = tl.program_id(1) % chunks * held + row % held
    head = kv_head * group + in_group
    query_at = num_cached + new
    row_stored = (row < block_q * held) & (new < num_new) & (in_group < group)
    stored = row_stored[:, None] & (d < HEAD_DIM)[None, :]
    token = (seq_start + new).to(tl.int64)
    q = tl.load(Q + token[:, None] * stride_q + head[:, None] * stride_qh + d[None, :], mask=stored, other=0.0)

    first = tl.maximum(num_cached + first_new - window + 1, 0)
    end = num_cached + tl.minimum(first_new + block_q, num_new)
    acc = tl.zeros([BLOCK_M, HEAD_DIM_PADDED], tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    table = Tables + seq.to(tl.int64) * stride_table
    for start in range(first // TILE_N * TILE_N, end, TILE_N):
        key_at = start + tl.arange(0, TILE_N)
        loadable = (key_at >= first) & (key_at < end)
        in_window = key_at[None, :] > query_at[:, None] - window
        visible = loadable[None, :] & (key_at[None, :] <= query_at[:, None]) & in_window
        acc, row_max, row_sum = attend_tile(
            q, acc, row_max, row_sum,
            K, V, table, key_at, loadable, visible, kv_head,
            block_size, stride_block, stride_offset, stride_head,
            scale, softcap, HEAD_DIM, HEAD_DIM_PADDED, SOFTCAP,
        )  # fmt: skip

    result = acc / tl.where(row_sum > 0, row_sum, 1.0)[:, None]
    out_row = token * group * kv_heads + head
    tl.store(Out + out_row[:, None] * HEAD_DIM + d[None, :], result.to(Out.dtype.element_ty), mask=stored)


def prefill(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    block_tables: torch.Tensor,
    context_lens: torch.Tensor,
    query_starts: torch.Tensor,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
) -> torch.Tensor:
    """Causal attention of the newest tokens of each sequence over their context; see `reference.prefill`."""
    check_attention(query, key_cache, value_cache, block_tables, context_lens, window, softcap)
    check_starts(query_starts, context_lens)
    check_launch(prefill_kernel, key_cache, value_cache)
    num_tokens, num_heads, head_dim = query.shape
    num_seqs = context_lens.shape[0]
    block_size, kv_heads = key_cache.shape[1:3]
    group = num_heads // kv_heads
    out = torch.empty((num_tokens, num_heads, head_dim), dtype=query.dtype, device=query.device)
    if num_tokens == 0:
        return out
    if query.stride(-1) != 1:
        query = query.contiguous()
    config = tiles.prefill_tiles(head_dim, query.element_size())
    held = min(group, config.BLOCK_M)
    query_blocks = num_tokens // (config.BLOCK_M // held) + num_seqs
    prefill_kernel[query_blocks, kv_heads * triton.cdiv(group, held)](
        query, key_cache, value_cache, block_tables, context_lens, query_starts, out,
        *query.stride()[:2], *key_cache.stride()[:3], block_tables.stride(0),
        num_seqs, block_size, group, window or tiles.NO_WINDOW, scale, softcap or 1.0,
        SOFTCAP=softcap is not None, **config.as_kwargs(),
    )  # fmt: skip
    return out
