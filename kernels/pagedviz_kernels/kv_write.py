"""Scatter new rows of K and V into their slots: one program per token, K and V in one launch."""

import torch
import triton
import triton.language as tl

from pagedviz_kernels import tiles
from pagedviz_kernels.checks import check_write
from pagedviz_kernels.triton_parts import check_launch


@triton.jit(do_not_specialize=["block_size"])
def write_kernel(
    Key, Value, K, V, Slots,
    stride_kt, stride_kh, stride_vt, stride_vh, stride_block, stride_offset, stride_head, block_size,
    HEADS: tl.constexpr, HEADS_PADDED: tl.constexpr, HEAD_DIM: tl.constexpr, HEAD_DIM_PADDED: tl.constexpr,
):  # fmt: skip
    """Program (token): cache[slot // block_size, slot % block_size] = row, unless its slot is negative."""
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(Slots + token)
    if slot < 0:
        return
    head = tl.arange(0, HEADS_PADDED)[:, None]
    d = tl.arange(0, HEAD_DIM_PADDED)[None, :]
    stored = (head < HEADS) & (d < HEAD_DIM)
    target = slot // block_size * stride_block + slot % block_size * stride_offset + head * stride_head + d
    key = tl.load(Key + token * stride_kt + head * stride_kh + d, mask=stored)
    value = tl.load(Value + token * stride_vt + head * stride_vh + d, mask=stored)
    tl.store(K + target, key, mask=stored)
    tl.store(V + target, value, mask=stored)


def write_kv(
    key: torch.Tensor,
    value: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
) -> None:
    """Put row t of key and value into slot `slot_mapping[t]`; see `reference.write_kv`."""
    check_write(key, value, key_cache, value_cache, slot_mapping)
    check_launch(write_kernel, key_cache, value_cache)
    num_tokens, heads, head_dim = key.shape
    if num_tokens == 0:
        return
    heads_padded, head_dim_padded = tiles.next_power_of_2(heads), tiles.next_power_of_2(head_dim)
    key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (key, value))
    write_kernel[(num_tokens,)](
        key, value, key_cache, value_cache, slot_mapping,
        *key.stride()[:2], *value.stride()[:2], *key_cache.stride()[:3], key_cache.shape[1],
        HEADS=heads, HEADS_PADDED=heads_padded, HEAD_DIM=head_dim, HEAD_DIM_PADDED=head_dim_padded,
        num_warps=tiles.copy_warps(heads_padded * head_dim_padded), **tiles.OPTIONS,
    )  # fmt: skip
