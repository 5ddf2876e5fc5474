"""Copy whole blocks: K and V, all layers and all pairs in one launch.

The batched copy of PagedAttention (Kwon et al. 2023, arXiv:2309.06180, section 5.1).
"""

import torch
import triton
import triton.language as tl

from pagedviz_kernels import tiles
from pagedviz_kernels.checks import check_pairs
from pagedviz_kernels.triton_parts import check_launch

ROWS = 16
"""Rows (token, head) that one program copies."""


@triton.jit(do_not_specialize=["block_size", "heads"])
def copy_kernel(
    K, V, Pairs, stride_layer, stride_block, stride_offset, stride_head, block_size, heads,
    HEAD_DIM: tl.constexpr, HEAD_DIM_PADDED: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Program (pair, layer, chunk) copies ROWS rows: cache[layer, target] = cache[layer, source]."""
    pair, layer, chunk = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    source = tl.load(Pairs + 2 * pair)
    target = tl.load(Pairs + 2 * pair + 1)
    row = chunk * ROWS + tl.arange(0, ROWS)[:, None]
    d = tl.arange(0, HEAD_DIM_PADDED)[None, :]
    stored = (row < block_size * heads) & (d < HEAD_DIM)
    inside = row // heads * stride_offset + row % heads * stride_head + d
    base = layer.to(tl.int64) * stride_layer
    key = tl.load(K + base + source * stride_block + inside, mask=stored)
    value = tl.load(V + base + source * stride_block + inside, mask=stored)
    tl.store(K + base + target * stride_block + inside, key, mask=stored)
    tl.store(V + base + target * stride_block + inside, value, mask=stored)


def copy_blocks(key_cache: torch.Tensor, value_cache: torch.Tensor, pairs: torch.Tensor) -> None:
    """Copy whole blocks in all layers at once; see `reference.copy_blocks`."""
    check_pairs(key_cache, value_cache, pairs)
    check_launch(copy_kernel, key_cache, value_cache)
    layers, _, block_size, heads, head_dim = key_cache.shape
    if pairs.shape[0] == 0 or layers == 0:
        return
    head_dim_padded = tiles.next_power_of_2(head_dim)
    pairs = pairs.to(key_cache.device, non_blocking=True).contiguous()
    copy_kernel[pairs.shape[0], layers, triton.cdiv(block_size * heads, ROWS)](
        key_cache, value_cache, pairs, *key_cache.stride()[:4], block_size, heads,
        HEAD_DIM=head_dim, HEAD_DIM_PADDED=head_dim_padded, ROWS=ROWS,
        num_warps=tiles.copy_warps(ROWS * head_dim_padded), **tiles.OPTIONS,
    )  # fmt: skip
